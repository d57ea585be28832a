// Hydrates what the server has rendered, and records what React reports about it.
import { hydrateRoot } from "react-dom/client";
import { App } from "./app.jsx";

globalThis.reported = [];
const onRecoverableError = (error) => globalThis.reported.push(String(error));
export const root = hydrateRoot(document.getElementById("root"), <App {...globalThis.given} />, { onRecoverableError });

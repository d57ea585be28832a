// Renders the application as a server does, where there is no browser.
import { renderToString } from "react-dom/server";
import { App } from "./app.jsx";

export const render = (given) => renderToString(<App {...given} />);

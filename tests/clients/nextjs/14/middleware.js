import { createGuard } from "django-latchkey-next/guard";

export const middleware = createGuard({ public: ["/", "/about"] });

import { createGuard } from "django-latchkey-next/guard";

export const proxy = createGuard({ public: ["/", "/about"] });

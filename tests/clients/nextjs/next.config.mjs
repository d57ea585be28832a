import { withLatchkey } from "django-latchkey-next/config";

export default withLatchkey();

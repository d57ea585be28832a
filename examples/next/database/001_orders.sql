-- Run by migrate.mjs as the role shop.
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The id of Latchkey's user. README.md says why it is no foreign key.
    user_id uuid NOT NULL,
    article text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_of_user ON orders (user_id, id);

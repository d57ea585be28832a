-- Glewlwyd calls these functions of pgcrypto to check a password. Here they do it in the cheapest way, because signing in
-- is not measured.
CREATE FUNCTION gen_salt(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$;
CREATE FUNCTION crypt(password text, salt text) RETURNS text LANGUAGE sql AS $$ SELECT md5(password) $$;

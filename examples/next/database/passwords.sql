-- Run once after roles.sql, by psql. In development the roles have no passwords.
\getenv latchkey_password LATCHKEY_PASSWORD
\getenv shop_password SHOP_PASSWORD
ALTER ROLE latchkey PASSWORD :'latchkey_password';
ALTER ROLE shop PASSWORD :'shop_password';

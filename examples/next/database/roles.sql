-- Run once, by a superuser, in the database that both applications use. A new role finds its tables without a setting,
-- because PostgreSQL looks for them first in the schema that has the name of the role.
CREATE ROLE latchkey LOGIN;
CREATE ROLE shop LOGIN;
CREATE SCHEMA AUTHORIZATION latchkey;
CREATE SCHEMA AUTHORIZATION shop;
-- Neither role can use the schema that all roles share.
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- Run once on a new primary, by psql: the project's role and database, and the role by which a replica follows.
\getenv database_password DATABASE_PASSWORD
\getenv replication_password REPLICATION_PASSWORD
CREATE ROLE latchkey LOGIN PASSWORD :'database_password';
CREATE DATABASE latchkey OWNER latchkey;
CREATE ROLE replica LOGIN REPLICATION PASSWORD :'replication_password';

-- A clock that can be moved. In this database "now()" is this function, which stands before PostgreSQL's own.
CREATE TABLE IF NOT EXISTS clock AS SELECT interval '0' AS ahead;
CREATE OR REPLACE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT pg_catalog.now() + ahead FROM public.clock $$;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$;

-- A role that reads the store and changes nothing. Run it as the owner of the store's tables, again as often as you like:
--   psql "$DEMAND_STORE_URL" -f docs/read-only-role.sql
-- Then each person has a login of their own:
--   CREATE ROLE anna LOGIN PASSWORD '...' IN ROLE demand_reader;
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'demand_reader') THEN
        CREATE ROLE demand_reader NOLOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA public TO demand_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO demand_reader;
-- What later migrations add is read as well.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO demand_reader;
-- Hashes of API keys are nobody's to read.
REVOKE ALL ON api_keys FROM demand_reader;

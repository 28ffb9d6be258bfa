-- What the service may do in the database `demand`: read everything, add planners' overrides, and nothing else.
-- Run as demand_pipeline after `demand migrate`; it can be run again.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO demand_api;
GRANT INSERT ON overrides TO demand_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO demand_api;
-- So that tables of later migrations can be read at once.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO demand_api;

-- What the server looks after now and then, whatever the tenant: the further named questions across
-- tenants. Each runs as the owner and takes all that it needs as arguments. Expand only.

-- The files of these jobs are still needed.
CREATE FUNCTION estatebase.unfinished_jobs(ids uuid[]) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT j.id FROM estatebase.jobs j
        WHERE j.id = ANY (ids) AND j.state IN ('queued', 'running', 'paused', 'needs_input')
    $$;

-- Lets go of operations whose retries are refused by their age, at most so many at once: how many.
-- The contract keeps them for 30 days; less can't be asked for.
CREATE FUNCTION estatebase.forget_ops(age interval, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
    AS $$
        WITH old AS (
            SELECT o.workspace_id, o.principal, o.key FROM estatebase.ops o
            WHERE o.at < now() - greatest(age, interval '30 days')
            LIMIT most FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM estatebase.ops o USING old
            WHERE (o.workspace_id, o.principal, o.key) = (old.workspace_id, old.principal, old.key)
            RETURNING 1
        )
        SELECT count(*) FROM gone
    $$;
-- Written in the order of time and read by age alone: some bytes for each megabyte.
CREATE INDEX ops_by_age ON estatebase.ops USING brin (at);

REVOKE ALL ON FUNCTION estatebase.unfinished_jobs(uuid[]),
    estatebase.forget_ops(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.unfinished_jobs(uuid[]),
    estatebase.forget_ops(interval, integer) TO estatebase_app;

-- A list belongs to one workspace: without this the planner would multiply their shares, and take
-- the lists of a small tenant for far smaller than they are (`count=estimated` asks it).
CREATE STATISTICS estatebase.items_of_lists (dependencies)
    ON workspace_id, list_id FROM estatebase.items;

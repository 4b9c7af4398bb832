-- A job that waits for a person can be planned anew: what it said before goes. And who has much to be
-- done does not keep others waiting. Expand only.
GRANT DELETE ON estatebase.job_errors TO estatebase_app;

-- As before, but the next one is of the workspace with the fewest jobs under way.
CREATE OR REPLACE FUNCTION estatebase.claim_jobs(owner text, lease interval, n integer)
RETURNS TABLE (workspace_id uuid, id uuid)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE estatebase.jobs AS job
    SET state = 'running',
        lease_owner = claim_jobs.owner,
        lease_until = clock_timestamp() + claim_jobs.lease,
        attempts = job.attempts + 1
    FROM (
        SELECT candidate.workspace_id, candidate.id
        FROM estatebase.jobs AS candidate
        WHERE candidate.state = 'queued'
           OR (candidate.state = 'running'
               AND coalesce(candidate.lease_until, '-infinity') < clock_timestamp())
        ORDER BY (
            SELECT count(*) FROM estatebase.jobs AS busy
            WHERE busy.workspace_id = candidate.workspace_id AND busy.state = 'running'
              AND busy.lease_until >= clock_timestamp()
        ), candidate.created_at
        LIMIT claim_jobs.n
        FOR UPDATE OF candidate SKIP LOCKED
    ) AS due
    WHERE job.workspace_id = due.workspace_id AND job.id = due.id
    RETURNING job.workspace_id, job.id
$$;

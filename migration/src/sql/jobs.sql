-- Long-running work and the rows it could not store. Expand only: nothing existing changes.
CREATE SCHEMA IF NOT EXISTS estatebase;

CREATE TABLE estatebase.jobs (
    workspace_id      uuid        NOT NULL,
    id                uuid        NOT NULL,
    kind              text        NOT NULL,
    state             text        NOT NULL DEFAULT 'queued' CHECK (state IN (
                          'queued', 'running', 'paused', 'needs_input',
                          'succeeded', 'failed', 'cancelled', 'reverted')),
    list_id           uuid,
    created_by        uuid        NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    params            jsonb       NOT NULL,
    file_name         text,
    file_size         bigint      NOT NULL DEFAULT 0,
    sha256            bytea,
    read              bigint      NOT NULL DEFAULT 0,
    created           bigint      NOT NULL DEFAULT 0,
    updated           bigint      NOT NULL DEFAULT 0,
    unchanged         bigint      NOT NULL DEFAULT 0,
    skipped           bigint      NOT NULL DEFAULT 0,
    failed            bigint      NOT NULL DEFAULT 0,
    total_bytes       bigint      NOT NULL DEFAULT 0,
    checkpoint_bytes  bigint      NOT NULL DEFAULT 0,
    checkpoint_record bigint      NOT NULL DEFAULT 0,
    error             jsonb,
    lease_owner       text,
    lease_until       timestamptz,
    attempts          integer     NOT NULL DEFAULT 0,
    finished_at       timestamptz,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id) REFERENCES estatebase.workspaces,
    FOREIGN KEY (workspace_id, list_id) REFERENCES estatebase.lists,
    -- Every row read ends in exactly one of the five.
    CONSTRAINT jobs_rows_add_up CHECK (read = created + updated + unchanged + skipped + failed)
);

-- What a worker looks for; finished jobs are not in it.
CREATE INDEX jobs_due ON estatebase.jobs (created_at) WHERE state IN ('queued', 'running');

CREATE TABLE estatebase.job_errors (
    workspace_id uuid    NOT NULL,
    job_id       uuid    NOT NULL,
    row          bigint  NOT NULL,
    ordinal      integer NOT NULL,
    column_key   text,
    value        text    CHECK (char_length(value) <= 200),
    code         text    NOT NULL,
    message      text    NOT NULL,
    PRIMARY KEY (workspace_id, job_id, row, ordinal),
    FOREIGN KEY (workspace_id, job_id) REFERENCES estatebase.jobs (workspace_id, id) ON DELETE CASCADE
);

ALTER TABLE estatebase.jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.jobs
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);
ALTER TABLE estatebase.job_errors ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON estatebase.job_errors
    USING (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid)
    WITH CHECK (workspace_id = nullif(current_setting('app.workspace_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON estatebase.jobs TO estatebase_app;
GRANT SELECT, INSERT ON estatebase.job_errors TO estatebase_app;

-- The one look across tenants: a worker takes due work wherever it is, and learns ids alone.
CREATE FUNCTION estatebase.claim_jobs(owner text, lease interval, n integer)
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
        ORDER BY candidate.created_at
        LIMIT claim_jobs.n
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE job.workspace_id = due.workspace_id AND job.id = due.id
    RETURNING job.workspace_id, job.id
$$;
REVOKE ALL ON FUNCTION estatebase.claim_jobs(text, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION estatebase.claim_jobs(text, interval, integer) TO estatebase_app;

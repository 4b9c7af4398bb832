-- The ways back through the log. `(workspace_id, seq, at)` is the log's own order; these find a few of its
-- events without reading along it. Of events alone, whose rows are short; what they say is found by their seq.

-- The caller's last change: read backwards from its end.
CREATE INDEX events_by_actor ON estatebase.events (workspace_id, actor_id, seq);
-- Whether a change has been undone.
CREATE INDEX events_by_undone ON estatebase.events (workspace_id, undoes, seq) WHERE undoes IS NOT NULL;
-- The schema as it stood: the few events that changed it, of views beside them.
CREATE INDEX events_of_schema ON estatebase.events (workspace_id, seq)
    WHERE kind LIKE 'list.%' OR kind LIKE 'column.%' OR kind LIKE 'view.%';

//! Judges what is asked of jobs: an import or an export is queued, run, taken back or ended, each an entry
//! of the log. Who took which data out stands there too. Running them is not its business.

use serde_json::json;

use super::super::core::Core;
use super::AdminCommand;
use super::effect::{Change, Effect};
use crate::domain::roles::Action;
use crate::error::AppError;
use crate::ids::UserId;

/// Whether the job may still be run or ended is the store's to see, in the same transaction.
pub(super) fn judge(core: &Core, command: &AdminCommand, by: UserId) -> Result<Effect, AppError> {
    match command {
        AdminCommand::QueueImport { job } | AdminCommand::RunImport { job } => {
            core.authorize(by, Action::WriteItems)?;
            let data = json!({
                "job": job.id, "list": job.list, "file_name": job.file_name, "file_size": job.file_size,
            });
            let body =
                json!({"id": job.id, "kind": job.kind, "state": job.state(), "list_id": job.list});
            let kind = match job.tried {
                None => "import.queued",
                Some(_) => "import.planned",
            };
            let mut effect = Effect::new(kind, data, 202, Some(body));
            effect.list = job.list;
            let change = match command {
                AdminCommand::RunImport { .. } => Change::ReplanJob(job.clone()),
                _ => Change::QueueJob(job.clone()),
            };
            Ok(effect.keeps_shape().with(change))
        }
        AdminCommand::FailJob {
            job,
            export,
            error,
            errors,
        } => {
            let data = json!({"job": job, "error": error});
            let kind = if *export {
                "export.failed"
            } else {
                "import.failed"
            };
            Ok(Effect::new(kind, data, 204, None)
                .keeps_shape()
                .with(Change::FailJob(*job, error.clone(), errors.clone())))
        }
        AdminCommand::RevertImport { job, change } => {
            core.authorize(by, Action::WriteItems)?;
            let body = json!({"id": job, "state": "reverted"});
            let data = json!({"job": job, "change": change});
            Ok(Effect::new("import.reverted", data, 200, Some(body))
                .keeps_shape()
                .with(Change::RevertJob(*job)))
        }
        AdminCommand::CancelJob { job, export } => {
            core.authorize(by, Action::WriteItems)?;
            let body = json!({"id": job, "state": "cancelled"});
            let kind = if *export {
                "export.cancelled"
            } else {
                "import.cancelled"
            };
            Ok(Effect::new(kind, json!({"job": job}), 200, Some(body))
                .keeps_shape()
                .with(Change::CancelJob(*job)))
        }
        AdminCommand::QueueExport { job } => {
            core.authorize(by, Action::WriteItems)?;
            let data = json!({
                "job": job.id, "list": job.list, "file_name": job.file_name, "asked": job.params,
            });
            let body =
                json!({"id": job.id, "kind": job.kind, "state": job.state(), "list_id": job.list});
            let mut effect = Effect::new("export.queued", data, 202, Some(body));
            effect.list = job.list;
            Ok(effect.keeps_shape().with(Change::QueueJob(job.clone())))
        }
        AdminCommand::FinishExport { job, rows, bytes } => {
            let data = json!({"job": job, "rows": rows, "bytes": bytes});
            Ok(Effect::new("export.finished", data, 204, None)
                .keeps_shape()
                .with(Change::FinishJob(*job, *rows, *bytes)))
        }
        _ => Err(AppError::internal(anyhow::anyhow!("not a command on jobs"))),
    }
}

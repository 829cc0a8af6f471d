//! Anybody's Job: an image and a command, with the lake's access in its environment.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::super::names::{SUBMISSION_ANNOTATION, WORKER, labels};
use super::job::{LakeJob, variable, variables};
use super::{JobSettings, Script, object};
use crate::error::Result;

/// The component of submitted Jobs.
pub(crate) const SUBMITTED: &str = "submitted";
/// Where a script lies in its container.
const FOLDER: &str = "/script";

/// The name of the ConfigMap that carries the script of a Job. It is the submission's own: that of an earlier Job of this
/// name may still be there, and would be run.
pub(crate) fn script_name(job: &str, submission: &str) -> String {
    format!("{job}-{submission}")
}

/// The ConfigMap of this name that carries a script.
pub(crate) fn script_map(name: &str, script: &Script) -> Result<ConfigMap> {
    object(
        "a script",
        &json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": name, "labels": labels(SUBMITTED) },
            "immutable": true,
            "data": { script.file.as_str(): script.text },
        }),
    )
}

/// The Job of this submission, whose script is in the ConfigMap of [`script_name`]: its user is never root, its home is `/tmp`, and its image's own user does not matter.
pub(crate) fn submitted_job(
    name: &str,
    submission: &str,
    script: Option<&Script>,
    command: &[String],
    settings: &JobSettings,
) -> Result<Job> {
    let mut env = vec![
        variable("HOME", "/tmp"),
        // Output that is seen when it is printed.
        variable("PYTHONUNBUFFERED", "1"),
    ];
    env.extend(variables(settings));
    let mut fields = json!({ "resources": settings.resources() });
    let mut volumes = Vec::new();
    match script {
        Some(script) => {
            let mut whole = vec![script.interpreter.clone(), format!("{FOLDER}/{}", script.file)];
            whole.extend_from_slice(command);
            fields["command"] = json!(whole);
            fields["workingDir"] = json!("/tmp");
            let mount = json!({ "name": "script", "mountPath": FOLDER, "readOnly": true });
            volumes.push((json!({ "name": "script", "configMap": { "name": script_name(name, submission) } }), mount));
        }
        None if !command.is_empty() => fields["command"] = json!(command),
        None => {}
    }
    let job = LakeJob {
        name,
        labels: labels(SUBMITTED),
        annotations: BTreeMap::from([(SUBMISSION_ANNOTATION.to_owned(), submission.to_owned())]),
        pod_annotations: BTreeMap::new(),
        service_account: WORKER,
        has_token: false,
        container: SUBMITTED,
        fields,
        env,
        volumes,
        spec: json!({ "backoffLimit": 0 }),
        is_work: true,
    };
    job.build(settings)
}

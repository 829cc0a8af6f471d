//! Keys on MinIO, by its admin API: a policy for each, a user, and the link between them.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sealed::seal;
use super::session::Session;
use super::{Key, policy};
use crate::error::{Error, Result};
use crate::lake::{BucketName, S3Request as Request};

/// What MinIO says of a user, as far as it is asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    #[serde(default)]
    policy_name: String,
}

/// Lets a key do what Jobs do with these buckets, and makes it if need be.
pub(super) async fn grant(session: &Session, root: &Key, jobs: &Key, buckets: &[BucketName]) -> Result<()> {
    let id = &jobs.access_key_id;
    let policy = policy_of(id);
    put_policy(session, &policy, buckets).await?;
    let called = session.key_called(id);
    if !session.accepts(jobs).await? {
        let body = json!({"secretKey": jobs.secret_access_key, "status": "enabled"}).to_string();
        let request = admin(Method::PUT, "add-user").with_query("accessKey", id);
        let request = request.with_body(seal(&root.secret_access_key, body.as_bytes())?);
        session.ask("make", &called, &request).await?;
    }
    let request = admin(Method::GET, "user-info").with_query("accessKey", id);
    let answer = session.ask("look at", &called, &request).await?;
    let user: User = serde_json::from_slice(&answer)
        .map_err(|cause| session.not_understood("look at", &called).with_source(cause))?;
    if user.policy_name == policy {
        return Ok(());
    }
    // In place of all other policies, which the newer call to attach one would leave.
    let request = admin(Method::PUT, "set-user-or-group-policy")
        .with_query("policyName", policy)
        .with_query("userOrGroup", id)
        .with_query("isGroup", "false");
    session.ask("allow buckets to", &called, &request).await.map(drop)
}

/// Removes a key and its policy.
pub(super) async fn remove(session: &Session, id: &str) -> Result<()> {
    let request = admin(Method::DELETE, "remove-user").with_query("accessKey", id);
    session.find("remove", session.key_called(id), &request, "XMinioAdminNoSuchUser").await?;
    let policy = policy_of(id);
    let request = admin(Method::DELETE, "remove-canned-policy").with_query("name", &policy);
    session.find("remove", policy_called(session, &policy), &request, "XMinioAdminNoSuchPolicy").await.map(drop)
}

/// Says what the policy's holder may do, unless it is said already.
async fn put_policy(session: &Session, name: &str, buckets: &[BucketName]) -> Result<()> {
    let called = policy_called(session, name);
    let wanted = policy_for(buckets);
    let request = admin(Method::GET, "info-canned-policy").with_query("name", name);
    if let Some(answer) = session.find("read", &called, &request, "XMinioAdminNoSuchPolicy").await? {
        let unreadable = |cause| -> Error { session.not_understood("read", &called).with_source(cause) };
        let found: Value = serde_json::from_slice(&answer).map_err(unreadable)?;
        if policy::same(&found, &wanted) {
            return Ok(());
        }
    }
    let request = admin(Method::PUT, "add-canned-policy").with_query("name", name).with_body(wanted.to_string());
    session.ask("make", &called, &request).await.map(drop)
}

/// What a key for Jobs may do, and may not: who is denied nothing may change his own secret, and make keys of his own,
/// which no rotation would end.
fn policy_for(buckets: &[BucketName]) -> Value {
    let mut statements = policy::statements(buckets);
    statements.push(json!({"Effect": "Deny", "Action": ["admin:*"]}));
    policy::document(statements)
}

/// One for each key, so that two lakes on one server do not share what their Jobs may do.
fn policy_of(id: &str) -> String {
    format!("datalake-jobs-{id}")
}

fn policy_called(session: &Session, name: &str) -> String {
    format!("the policy `{name}` of {}", session.lake())
}

fn admin(method: Method, call: &str) -> Request {
    Request::new(method, format!("minio/admin/v3/{call}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_serve_themselves() {
        let policy = policy_for(&[BucketName::new("raw-data").unwrap()]);
        let denied = policy["Statement"].as_array().unwrap().iter().find(|statement| statement["Effect"] == "Deny");
        assert_eq!(denied.unwrap()["Action"], json!(["admin:*"]));
    }
}

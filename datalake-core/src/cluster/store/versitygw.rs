//! Keys on versitygw: accounts by its admin API, and policies of the buckets that name them.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Key;
use super::policy::{self, Revoked};
use super::session::Session;
use crate::error::{Error, Result};
use crate::lake::{BucketName, S3Request as Request};

/// May do what policies of buckets allow, and make no bucket.
const ROLE: &str = "user";

/// An account to make.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Account<'a> {
    access: &'a str,
    secret: &'a str,
    role: &'a str,
}

/// What of an account is to change.
#[derive(Serialize)]
#[serde(rename = "MutableProps", rename_all = "PascalCase")]
struct Change<'a> {
    secret: &'a str,
    role: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default)]
    accounts: Vec<ListedAccount>,
}

/// An account that is there. Its secret is in the answer too, and not taken out of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedAccount {
    access: String,
    role: String,
}

/// Lets a key do what Jobs do with these buckets and nothing with others, and makes it if need be.
pub(super) async fn grant(session: &Session, jobs: &Key, buckets: &[BucketName]) -> Result<()> {
    // Policies may name accounts only that are there.
    put_account(session, jobs).await?;
    let id = &jobs.access_key_id;
    for bucket in session.buckets().await? {
        let policy = policy_of(session, &bucket).await?;
        match (buckets.contains(&bucket), policy) {
            (true, policy) => {
                if let Some(policy) = policy::grant(policy, &bucket, id) {
                    put_policy(session, &bucket, &policy).await?;
                }
            }
            (false, Some(policy)) => revoke(session, &bucket, policy, id).await?,
            (false, None) => {}
        }
    }
    Ok(())
}

/// Removes a key from the policies of all buckets, then the key itself: a policy that names nobody could not be
/// changed any more.
pub(super) async fn remove(session: &Session, id: &str) -> Result<()> {
    for bucket in session.buckets().await? {
        if let Some(policy) = policy_of(session, &bucket).await? {
            revoke(session, &bucket, policy, id).await?;
        }
    }
    let request = Request::new(Method::PATCH, "delete-user").with_query("access", id);
    session.ask("remove", session.key_called(id), &request).await.map(drop)
}

async fn revoke(session: &Session, bucket: &BucketName, policy: Value, id: &str) -> Result<()> {
    match policy::revoke(policy, id) {
        Revoked::Unchanged => Ok(()),
        Revoked::Left(policy) => put_policy(session, bucket, &policy).await,
        Revoked::Empty => {
            let request = Request::new(Method::DELETE, bucket.as_str()).with_query("policy", "");
            session.ask("remove", policy_called(session, bucket), &request).await.map(drop)
        }
    }
}

async fn put_account(session: &Session, key: &Key) -> Result<()> {
    let (access, secret) = (key.access_key_id.as_str(), key.secret_access_key.as_str());
    let called = session.key_called(access);
    let request = Request::new(Method::PATCH, "list-users");
    let answer = session.ask("look for", &called, &request).await?;
    // The cause of a failure is left out: it might repeat a secret.
    let listed: Listed =
        quick_xml::de::from_reader(&answer[..]).map_err(|_| session.not_understood("look for", &called))?;
    let request = match listed.accounts.iter().find(|account| account.access == access) {
        Some(account) if account.role == ROLE && session.accepts(key).await? => return Ok(()),
        Some(_) => Request::new(Method::PATCH, "update-user")
            .with_query("access", access)
            .with_body(xml(&Change { secret, role: ROLE })?),
        None => Request::new(Method::PATCH, "create-user").with_body(xml(&Account { access, secret, role: ROLE })?),
    };
    session.ask("make", &called, &request).await.map(drop)
}

async fn policy_of(session: &Session, bucket: &BucketName) -> Result<Option<Value>> {
    let called = policy_called(session, bucket);
    let request = Request::new(Method::GET, bucket.as_str()).with_query("policy", "");
    let Some(answer) = session.find("read", &called, &request, "NoSuchBucketPolicy").await? else { return Ok(None) };
    let unreadable = |cause| session.not_understood("read", &called).with_source(cause);
    serde_json::from_slice(&answer).map(Some).map_err(unreadable)
}

async fn put_policy(session: &Session, bucket: &BucketName, policy: &Value) -> Result<()> {
    let request = Request::new(Method::PUT, bucket.as_str()).with_query("policy", "").with_body(policy.to_string());
    session.ask("set", policy_called(session, bucket), &request).await.map(drop)
}

fn policy_called(session: &Session, bucket: &BucketName) -> String {
    format!("the policy of the bucket `{}` of {}", bucket.as_str(), session.lake())
}

/// The cause of a failure is left out: it might repeat the secret.
fn xml<T: Serialize>(value: &T) -> Result<String> {
    quick_xml::se::to_string(value).map_err(|_| Error::internal("write", "a request to versitygw's admin API"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_written_and_read_as_the_server_does() {
        let account = xml(&Account { access: "A", secret: "<&>", role: ROLE }).unwrap();
        assert_eq!(account, "<Account><Access>A</Access><Secret>&lt;&amp;&gt;</Secret><Role>user</Role></Account>");
        let change = xml(&Change { secret: "s", role: ROLE }).unwrap();
        assert_eq!(change, "<MutableProps><Secret>s</Secret><Role>user</Role></MutableProps>");
        let listed = |accounts: &str| -> Vec<String> {
            let text = format!("<ListUserAccountsResult>{accounts}</ListUserAccountsResult>");
            let listed: Listed = quick_xml::de::from_str(&text).unwrap();
            listed.accounts.into_iter().map(|account| account.access).collect()
        };
        let account = "<Accounts><Access>A</Access><Secret>s</Secret><Role>user</Role><UserID>0</UserID></Accounts>";
        assert!(listed("").is_empty());
        assert_eq!(listed(account), ["A"]);
        assert_eq!(listed(&account.repeat(2)), ["A", "A"]);
    }
}

//! Policies in Amazon's language: what a key for Jobs may do, and how that is joined with what is there.

use serde_json::{Value, json};

use crate::lake::BucketName;

/// What a Job does to objects. A multipart upload that failed is taken back.
const TO_OBJECTS: [&str; 5] =
    ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
/// What a Job asks of a bucket: whether it is there, what is in it, and which uploads are unfinished.
const TO_BUCKETS: [&str; 3] = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"];

/// What the holder of a policy may do with these buckets.
pub(super) fn statements(buckets: &[BucketName]) -> Vec<Value> {
    let resources = |suffix: &str| -> Vec<_> {
        buckets.iter().map(|bucket| format!("arn:aws:s3:::{}{suffix}", bucket.as_str())).collect()
    };
    vec![
        json!({"Effect": "Allow", "Action": TO_OBJECTS, "Resource": resources("/*")}),
        json!({"Effect": "Allow", "Action": TO_BUCKETS, "Resource": resources("")}),
    ]
}

/// A policy that says this and nothing else.
pub(super) fn document(statements: Vec<Value>) -> Value {
    let mut policy = json!({"Version": "2012-10-17"});
    policy["Statement"] = Value::Array(statements);
    policy
}

/// Whether two policies say the same, in whichever order.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    canonical(one) == canonical(other)
}

/// Lists mean sets in this language, and servers return them in an order of their own.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<_> = list.iter().map(canonical).collect();
            list.sort_by_cached_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), canonical(value))).collect(),
        other => other.clone(),
    }
}

/// Puts what a key may do with a bucket in place of all that the bucket's policy says of this key. `None` if it says
/// just that already.
pub(super) fn grant(policy: Option<Value>, bucket: &BucketName, key: &str) -> Option<Value> {
    let mut own = statements(std::slice::from_ref(bucket));
    for statement in &mut own {
        statement["Principal"] = json!({"AWS": [key]});
    }
    let mut policy = policy.unwrap_or_else(|| document(Vec::new()));
    let said: Vec<_> = found(&policy).filter(|statement| mentions(&statement["Principal"], key)).cloned().collect();
    if same(&Value::Array(said), &Value::Array(own.clone())) {
        return None;
    }
    let mut all = others(&policy, key);
    all.append(&mut own);
    policy["Statement"] = Value::Array(all);
    Some(policy)
}

/// What is left of a bucket's policy when it says nothing of this key.
#[derive(Debug, PartialEq)]
pub(super) enum Revoked {
    /// It said nothing before.
    Unchanged,
    /// It spoke of others too.
    Left(Value),
    /// It spoke of nobody else.
    Empty,
}

/// Takes a key out of a bucket's policy.
pub(super) fn revoke(mut policy: Value, key: &str) -> Revoked {
    if !found(&policy).any(|statement| mentions(&statement["Principal"], key)) {
        return Revoked::Unchanged;
    }
    let left = others(&policy, key);
    if left.is_empty() {
        return Revoked::Empty;
    }
    policy["Statement"] = Value::Array(left);
    Revoked::Left(policy)
}

/// The statements of a policy; a single one needs no list.
fn found(policy: &Value) -> impl Iterator<Item = &Value> {
    match &policy["Statement"] {
        Value::Array(list) => list.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
    .iter()
}

/// The statements without this key: those that speak of nobody else are left out.
fn others(policy: &Value, key: &str) -> Vec<Value> {
    let mut all: Vec<_> = found(policy).cloned().collect();
    all.retain_mut(|statement| !mentions(&statement["Principal"], key) || remains(&mut statement["Principal"], key));
    all
}

/// Whether one of the principals is this key: they stand alone, in a list, or in either under `AWS`.
fn mentions(principal: &Value, key: &str) -> bool {
    match principal {
        Value::String(name) => name == key,
        Value::Array(list) => list.iter().any(|one| mentions(one, key)),
        Value::Object(kinds) => kinds.values().any(|one| mentions(one, key)),
        _ => false,
    }
}

/// Takes a key out of the principals; whether somebody remains.
fn remains(principal: &mut Value, key: &str) -> bool {
    match principal {
        Value::Array(list) => {
            list.retain_mut(|one| remains(one, key));
            !list.is_empty()
        }
        Value::Object(kinds) => {
            kinds.retain(|_, one| remains(one, key));
            !kinds.is_empty()
        }
        other => !mentions(other, key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> BucketName {
        BucketName::new("raw-data").unwrap()
    }

    fn public() -> Value {
        json!({"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::raw-data/public/*"})
    }

    #[test]
    fn nothing_is_allowed_but_objects_and_lists() {
        let text = document(statements(&[bucket(), BucketName::new("models").unwrap()])).to_string();
        for part in ["arn:aws:s3:::raw-data/*", "arn:aws:s3:::models/*", "\"arn:aws:s3:::models\"", "2012-10-17"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for part in ["s3:*", ":::*", "CreateBucket", "DeleteBucket", "Policy", "ListAllMyBuckets"] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn order_says_nothing() {
        let policy = |actions: [&str; 2]| document(vec![json!({"Action": actions}), json!({"Effect": "Deny"})]);
        assert!(same(&policy(["a", "b"]), &policy(["b", "a"])));
        assert!(!same(&policy(["a", "b"]), &policy(["a", "c"])));
    }

    #[test]
    fn a_grant_is_made_once_and_leaves_others_alone() {
        let first = grant(Some(json!({"Version": "2008-10-17", "Statement": public()})), &bucket(), "A").unwrap();
        assert_eq!(first["Version"], "2008-10-17");
        assert_eq!(first["Statement"].as_array().unwrap().len(), 3);
        assert_eq!(first["Statement"][0], public());
        assert_eq!(grant(Some(first.clone()), &bucket(), "A"), None);
        let second = grant(Some(first.clone()), &bucket(), "B").unwrap();
        assert_eq!(second["Statement"].as_array().unwrap().len(), 5);
        assert_eq!(grant(Some(second.clone()), &bucket(), "A"), None);
        assert_eq!(revoke(second, "B"), Revoked::Left(first));
    }

    #[test]
    fn more_than_the_grant_is_taken_back() {
        let mut policy = grant(None, &bucket(), "A").unwrap();
        policy["Statement"][0]["Action"] = json!("s3:*");
        assert_eq!(grant(Some(policy), &bucket(), "A"), grant(None, &bucket(), "A"));
    }

    #[test]
    fn a_key_is_taken_out_of_every_form_of_principal() {
        for (principal, left) in [
            (json!("A"), None),
            (json!(["A"]), None),
            (json!({"AWS": "A"}), None),
            (json!({"AWS": ["A"]}), None),
            (json!(["A", "B"]), Some(json!(["B"]))),
            (json!({"AWS": ["B", "A"]}), Some(json!({"AWS": ["B"]}))),
        ] {
            let policy = document(vec![json!({"Principal": principal})]);
            let expected =
                left.map_or(Revoked::Empty, |left| Revoked::Left(document(vec![json!({"Principal": left})])));
            assert_eq!(revoke(policy, "A"), expected);
        }
        for principal in [json!("*"), json!({"AWS": ["B", "AA"]})] {
            assert_eq!(revoke(document(vec![json!({"Principal": principal})]), "A"), Revoked::Unchanged);
        }
    }
}

//! The XML that S3 answers with, as far as we read it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// What went wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: Option<String>,
}

/// The answer to a listing of buckets.
#[derive(Debug, Deserialize)]
#[serde(rename = "ListAllMyBucketsResult", rename_all = "PascalCase")]
pub(super) struct BucketList {
    pub(super) buckets: Buckets,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Buckets {
    #[serde(default)]
    pub(super) bucket: Vec<ListedBucket>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedBucket {
    pub(super) name: String,
    #[serde(deserialize_with = "time")]
    pub(super) creation_date: DateTime<Utc>,
}

/// One page of unfinished uploads.
#[derive(Debug, Deserialize)]
#[serde(rename = "ListMultipartUploadsResult", rename_all = "PascalCase")]
pub(super) struct UploadList {
    #[serde(default)]
    pub(super) upload: Vec<ListedUpload>,
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) next_key_marker: String,
    #[serde(default)]
    pub(super) next_upload_id_marker: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedUpload {
    pub(super) key: String,
    pub(super) upload_id: String,
    #[serde(deserialize_with = "time")]
    pub(super) initiated: DateTime<Utc>,
}

/// One page of the parts of an unfinished upload.
#[derive(Debug, Deserialize)]
#[serde(rename = "ListPartsResult", rename_all = "PascalCase")]
pub(super) struct PartList {
    #[serde(default)]
    pub(super) part: Vec<ListedPart>,
    #[serde(default)]
    pub(super) is_truncated: bool,
    #[serde(default)]
    pub(super) next_part_number_marker: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedPart {
    #[serde(deserialize_with = "time")]
    pub(super) last_modified: DateTime<Utc>,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_none_one_and_two_are_read() {
        let list = |buckets: &str| -> Vec<String> {
            let text = format!(
                "<?xml version=\"1.0\"?><ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Owner><ID>1</ID></Owner><Buckets>{buckets}</Buckets></ListAllMyBucketsResult>"
            );
            let read: BucketList = quick_xml::de::from_str(&text).unwrap();
            read.buckets.bucket.into_iter().map(|bucket| bucket.name).collect()
        };
        let bucket = |name: &str| {
            format!("<Bucket><Name>{name}</Name><CreationDate>2026-01-02T03:04:05.678Z</CreationDate></Bucket>")
        };
        assert!(list("").is_empty());
        assert_eq!(list(&bucket("a")), ["a"]);
        assert_eq!(list(&(bucket("a") + &bucket("b"))), ["a", "b"]);
    }

    #[test]
    fn keys_are_unescaped() {
        let text = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>a &amp; b</Key>\
            <UploadId>u</UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload></ListMultipartUploadsResult>";
        let list: UploadList = quick_xml::de::from_str(text).unwrap();
        assert_eq!((list.upload[0].key.as_str(), list.is_truncated), ("a & b", false));
    }
}

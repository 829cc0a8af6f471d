//! Unfinished uploads on S3: finding those whose writer is dead, and aborting them.

use chrono::{DateTime, TimeDelta, Utc};
use http::Method;
use object_store::path::Path;
use serde::de::DeserializeOwned;

use super::answers::{ListedUpload, PartList, UploadList};
use super::request::Request;
use super::{S3Lake, bucket_called};
use crate::error::Result;
use crate::lake::BucketName;

impl S3Lake {
    /// Aborts the unfinished uploads under a prefix that show no sign of life: begun longer ago than `idle`, and no
    /// part stored since. Returns how many that were.
    ///
    /// S3 has no locks that end with their holder, so time has to decide: a writer that lets more than `idle` pass
    /// between two parts is taken for dead, and its next request fails. What is visible stays in any case.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such bucket; what the server says otherwise.
    pub async fn abort_uploads(&self, bucket: &BucketName, prefix: Option<&Path>, idle: TimeDelta) -> Result<u64> {
        let cutoff = Utc::now() - idle;
        let mut aborted = 0;
        for upload in self.unfinished(bucket, prefix).await? {
            if upload.initiated < cutoff && self.last_part(bucket, &upload).await?.is_none_or(|last| last < cutoff) {
                self.abort(bucket, &upload).await?;
                aborted += 1;
            }
        }
        Ok(aborted)
    }

    async fn unfinished(&self, bucket: &BucketName, prefix: Option<&Path>) -> Result<Vec<ListedUpload>> {
        let mut found = Vec::new();
        let mut after = (String::new(), String::new());
        loop {
            let request = Request::new(Method::GET, bucket.as_str())
                .with_query("uploads", "")
                .with_query("prefix", prefix.map_or("", AsRef::as_ref))
                .with_query("key-marker", after.0)
                .with_query("upload-id-marker", after.1);
            let page: UploadList = self.ask(bucket, &request).await?;
            found.extend(page.upload);
            if !page.is_truncated || page.next_key_marker.is_empty() {
                return Ok(found);
            }
            after = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// When the last part was stored.
    async fn last_part(&self, bucket: &BucketName, upload: &ListedUpload) -> Result<Option<DateTime<Utc>>> {
        let mut last = None;
        let mut after = String::new();
        loop {
            let request = Request::new(Method::GET, format!("{bucket}/{}", upload.key))
                .with_query("uploadId", upload.upload_id.as_str())
                .with_query("part-number-marker", after);
            let page: PartList = self.ask(bucket, &request).await?;
            last = last.max(page.part.iter().map(|part| part.last_modified).max());
            if !page.is_truncated || page.next_part_number_marker.is_empty() {
                return Ok(last);
            }
            after = page.next_part_number_marker;
        }
    }

    async fn abort(&self, bucket: &BucketName, upload: &ListedUpload) -> Result<()> {
        let request = Request::new(Method::DELETE, format!("{bucket}/{}", upload.key))
            .with_query("uploadId", upload.upload_id.as_str());
        match self.requests.send(&request).await {
            // Somebody else was faster.
            Err(failure) if failure.status() == Some(404) => Ok(()),
            done => done.map(drop).map_err(|failure| self.requests.explain("sweep", bucket_called(bucket), failure)),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, bucket: &BucketName, request: &Request) -> Result<T> {
        let answer = self.requests.send(request).await;
        let answer = answer.map_err(|failure| self.requests.explain("sweep", bucket_called(bucket), failure))?;
        self.read("sweep", bucket_called(bucket), &answer)
    }
}

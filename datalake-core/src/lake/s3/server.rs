//! The server behind a lake, for those who set it up: signed requests of their own, and whether it is there at all.

use std::time::Duration;

use http::{StatusCode, header};
use object_store::client::HttpRequestBody;

use super::request::{Failure, Requests};
use super::settings::endpoint_of;
use super::{S3Lake, http_client};
use crate::lake::store_error::names_credentials;

impl S3Lake {
    /// Requests to the lake's endpoint, signed with its key.
    pub(crate) fn requests(&self) -> &Requests {
        &self.requests
    }
}

impl Failure {
    /// Whether the server finds fault with the key itself, not with what the key may do.
    pub(crate) fn is_of_key(&self) -> bool {
        names_credentials(self.code())
    }
}

/// The status of an answer to an unsigned GET, and what the server calls itself. `None` without an answer in time.
pub(crate) async fn knock(url: &str, path: &str, within: Duration) -> Option<(StatusCode, Option<String>)> {
    let endpoint = endpoint_of(url).ok()?;
    let http = http_client(&endpoint).ok()?;
    let request = http::Request::get(format!("{endpoint}{path}")).body(HttpRequestBody::empty()).ok()?;
    let answer = tokio::time::timeout(within, http.execute(request)).await.ok()?.ok()?;
    let server = answer.headers().get(header::SERVER).and_then(|name| name.to_str().ok());
    Some((answer.status(), server.map(ToOwned::to_owned)))
}

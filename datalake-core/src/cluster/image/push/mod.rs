//! Sends an image to a registry, without a container engine.
//!
//! After the Distribution Specification of the Open Container Initiative, 1.1.

mod credentials;
mod destination;
mod refusal;
mod registry;

use std::sync::Arc;

pub use self::credentials::Credentials;
use self::destination::Destination;
use self::registry::Registry;
use super::Image;
use crate::error::Result;
use crate::progress::Progress;

/// An image that a registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// Its name: registry, repository and tag.
    pub name: String,
    /// Its digest, which is the image's own: `sha256:…`.
    pub digest: String,
    /// How many bytes of blobs were sent. Those that the registry had are not.
    pub sent: u64,
}

impl Image {
    /// Pushes the image to the registry that `name` says, under the tag that it says; the image's own name does not matter.
    ///
    /// What the registry has already is not sent again. The tag comes last, so that it never leads to half an image.
    /// A failure that may pass is met by a few more attempts. Plain HTTP is spoken to `localhost`, `127.0.0.1` and `[::1]`,
    /// and HTTPS to all others. Progress is counted in bytes.
    ///
    /// ```no_run
    /// # async fn example() -> datalake_core::Result<()> {
    /// use std::sync::Arc;
    ///
    /// use datalake_core::cluster::image::{Credentials, Image};
    /// use datalake_core::progress::{Progress, Silent};
    ///
    /// let image = Image::open("datalake.tar".as_ref())?;
    /// let name = "registry.local/datalake:1.0";
    /// let progress: Arc<dyn Progress> = Arc::new(Silent);
    /// let pushed = image.push(name, &Credentials::find(name).await?, &progress).await?;
    /// println!("{}", pushed.digest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name without a registry or a tag, or with a digest, and where plain
    /// HTTP would have to be spoken to another machine; [`Denied`](crate::ErrorKind::Denied) where the registry wants other
    /// credentials, or cannot be trusted; [`NotFound`](crate::ErrorKind::NotFound) for a repository that it does not have;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) where it does not answer;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where what answers is no registry.
    pub async fn push(&self, name: &str, credentials: &Credentials, progress: &Arc<dyn Progress>) -> Result<Pushed> {
        let destination = Destination::parse(name)?;
        let registry = Registry::new(&destination, credentials)?;
        progress.begin(&format!("push to {}", destination.registry()), Some(self.size()));
        let sent = self.send(&registry, progress).await;
        progress.end();
        Ok(Pushed { name: destination.reference.whole(), digest: self.digest(), sent: sent? })
    }

    /// Gives the bytes of blobs that had to be sent.
    async fn send(&self, registry: &Registry<'_>, progress: &Arc<dyn Progress>) -> Result<u64> {
        registry.log_in().await?;
        let mut sent = 0;
        for blob in [&self.layer, &self.config] {
            let size = blob.bytes.len() as u64;
            if registry.has(blob).await? {
                progress.advance(size);
            } else {
                registry.send(blob, progress).await?;
                sent += size;
            }
        }
        registry.tag(&self.manifest).await?;
        progress.advance(self.manifest.bytes.len() as u64);
        Ok(sent)
    }
}

#[cfg(test)]
mod tests;

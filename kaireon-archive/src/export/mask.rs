//! Scan cursors, which may hold a customer's id, as they are kept in the archive: under a key of the tenant's own, so
//! that nothing readable of a customer lies outside the batches.

use kaireon_core::digest::Digest;
use kaireon_core::store::ScanCursor;
use kaireon_core::{Result, TenantId};

use crate::archive::{Archive, random};
use crate::error::corrupt;
use crate::layout::hex;

impl Archive {
    /// Masks a cursor under a nonce that is drawn for it.
    pub(super) fn mask(&self, tenant: &TenantId, cursor: &ScanCursor) -> Result<String> {
        let nonce = random()?.to_le_bytes();
        let mut bytes = cursor.as_str().as_bytes().to_vec();
        self.apply(tenant, nonce, &mut bytes);
        Ok(format!("{}{}", hex(&nonce), hex(&bytes)))
    }

    /// Reads what [`mask`](Self::mask) made.
    pub(super) fn unmask(&self, tenant: &TenantId, masked: &str) -> Result<ScanCursor> {
        let wrong = || corrupt("a scan's cursor is not what was written");
        let pairs = masked.as_bytes().chunks(2).map(|pair| {
            let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        });
        let mut bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(wrong)?;
        let Some((&nonce, _)) = bytes.split_first_chunk() else {
            return Err(wrong());
        };
        let mut text = bytes.split_off(8);
        self.apply(tenant, nonce, &mut text);
        String::from_utf8(text).map(ScanCursor::new).map_err(|_| wrong())
    }

    /// The extendable output of keyed BLAKE3 is a stream of pseudo-random bytes.
    fn apply(&self, tenant: &TenantId, nonce: [u8; 8], bytes: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.mask_key());
        hasher.update(&nonce);
        hasher.update(tenant.as_str().as_bytes());
        let mut stream = vec![0; bytes.len()];
        hasher.finalize_xof().fill(&mut stream);
        for (byte, pad) in bytes.iter_mut().zip(stream) {
            *byte ^= pad;
        }
    }
}

/// The first digits of a record's keyed digest, by which an entry of a plan is told from another at its position.
pub(super) fn short(key: Digest) -> String {
    hex(&key.as_bytes()[..8])
}

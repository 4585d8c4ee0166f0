//! Parses the fields of an X.509 certificate (RFC 5280 §4.1) that a pinned one is checked by: its
//! dates, its common name, and whether it has alternative names. Trusts no length in the DER.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

// Object identifiers, in DER.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SUBJECT_ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

// DER tags.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The fields of a certificate that the verifier needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateFields {
    /// The first Unix second of its validity.
    pub not_before_s: i64,
    /// The last Unix second of its validity.
    pub not_after_s: i64,
    /// The last common name of its subject.
    pub common_name: Option<String>,
    /// Whether it has the subject alternative name extension.
    pub has_alternative_names: bool,
}

impl CertificateFields {
    /// Parses a certificate; `None` if it is malformed.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut body = Der(certificate.expect(SEQUENCE)?);
        body.skip_if(VERSION);
        body.expect(INTEGER)?;
        // The signature algorithm and the issuer.
        body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let mut validity = Der(body.expect(SEQUENCE)?);
        let (not_before_s, not_after_s) = (time(validity.next()?)?, time(validity.next()?)?);
        let common_name = common_name(body.expect(SEQUENCE)?)?;
        // The public key.
        body.expect(SEQUENCE)?;
        let mut has_alternative_names = false;
        while let Some((tag, content)) = body.next() {
            if tag == EXTENSIONS {
                has_alternative_names = has_extension(content, SUBJECT_ALTERNATIVE_NAMES)?;
            }
        }
        Some(Self { not_before_s, not_after_s, common_name, has_alternative_names })
    }
}

fn common_name(subject: &[u8]) -> Option<Option<String>> {
    let mut subject = Der(subject);
    let mut found = None;
    while let Some((tag, set)) = subject.next() {
        let mut set = Der((tag == SET).then_some(set)?);
        while let Some((_, pair)) = set.next() {
            let mut pair = Der(pair);
            if pair.expect(OBJECT_IDENTIFIER)? == COMMON_NAME {
                found = std::str::from_utf8(pair.next()?.1).ok().map(str::to_owned);
            }
        }
    }
    Some(found)
}

fn has_extension(content: &[u8], wanted: &[u8]) -> Option<bool> {
    let mut list = Der(Der(content).expect(SEQUENCE)?);
    while let Some((_, extension)) = list.next() {
        if Der(extension).expect(OBJECT_IDENTIFIER)? == wanted {
            return Some(true);
        }
    }
    Some(false)
}

/// Returns the Unix second of a UTCTime (`YYMMDDHHMMSSZ`, 1950 to 2049) or a GeneralizedTime.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time: DateTime = DateTime::strptime("%Y%m%d%H%M%SZ", &full).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

/// The elements that are not parsed yet.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Returns the tag and the content of the next element; `None` at the end, and if its length
    /// is wrong or has more than four bytes.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Returns the content of the next element, which must have this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn skip_if(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    fn der(name: &str) -> CertificateDer<'static> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name);
        CertificateDer::from_pem_file(path).unwrap()
    }

    #[test]
    fn fields_are_parsed_from_certificates_of_openssl() {
        let fields = CertificateFields::parse(&der("self-signed-cn.pem")).unwrap();
        assert_eq!(fields.common_name.as_deref(), Some("localhost"));
        assert!(!fields.has_alternative_names);
        // GeneralizedTime: after 2049.
        assert!(fields.not_before_s == 1_577_836_800 && fields.not_after_s > 4_000_000_000);
        assert!(CertificateFields::parse(&der("self-signed.pem")).unwrap().has_alternative_names);
        let expired = CertificateFields::parse(&der("expired.pem")).unwrap();
        assert!((1_500_000_000..1_700_000_000).contains(&expired.not_after_s), "{expired:?}");
        assert!(expired.has_alternative_names);
    }

    #[test]
    fn a_truncated_certificate_is_refused() {
        let whole = der("self-signed.pem");
        for length in 0..whole.len() {
            assert_eq!(CertificateFields::parse(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = CertificateFields::parse(&bytes);
        }

        #[test]
        fn a_damaged_certificate_never_panics(at in 0usize..600, byte in any::<u8>()) {
            let mut bytes = der("self-signed.pem").to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = CertificateFields::parse(&bytes);
        }
    }
}

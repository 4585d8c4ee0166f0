//! Redacts passwords, keys and tokens of this run from log text, in each form in which a peer may
//! repeat them.
//!
//! Code that creates a secret registers it here, and everything that writes to stderr passes its
//! text through [`redact`], so that no call site can forget either. The registry is global, as the
//! log is. It is read for log lines only, never per event.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The replacement for a secret.
pub const REDACTED: &str = "[redacted]";

/// Minimum length of a form, in bytes. Redacting shorter ones would make the log unreadable: a
/// password `a` is in every line.
const MIN_BYTES: usize = 4;

/// Minimum length of a prefix that is redacted anywhere, in bytes.
const MIN_BEGINNING_BYTES: usize = 8;

/// Minimum length of a base64 fragment: shorter ones occur by chance.
const MIN_BASE64_BYTES: usize = 6;

static KNOWN: RwLock<Secrets> = RwLock::new(Secrets { forms: Vec::new() });

/// Registers a secret. Registering it again has no effect.
pub fn register(secret: &str) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(secret);
}

/// Registers a password, and the `user:password` pair as encoded by `Authorization: Basic`.
pub fn register_login(user: &str, password: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.add(password);
    if !password.is_empty() {
        known.add_base64(format!("{user}:{password}").as_bytes());
    }
    known.sort();
}

/// Returns the text with each known secret replaced by [`REDACTED`].
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).redact(text)
}

/// All forms of all secrets, in lower case, the longest first.
#[derive(Debug, Default)]
struct Secrets {
    forms: Vec<String>,
}

impl Secrets {
    fn add(&mut self, secret: &str) {
        let json = serde_json::Value::from(secret).to_string();
        let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let lenient = utf8_percent_encode(secret, URL_COMPONENT).to_string();
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let slashes = json.replace('/', "\\/");
        let html = html_escaped(secret);
        let hex = data_encoding::HEXLOWER.encode(secret.as_bytes());
        for form in [secret.to_owned(), json, slashes, html, percent, lenient, form, hex] {
            self.add_form(&form);
        }
        self.add_base64(secret.as_bytes());
        self.sort();
    }

    /// Adds the base64 of the secret alone, and the characters that are constant in the base64 of
    /// any longer text that has the secret.
    fn add_base64(&mut self, secret: &[u8]) {
        self.add_form(&data_encoding::BASE64_NOPAD.encode(secret));
        self.add_form(&data_encoding::BASE64URL_NOPAD.encode(secret));
        for offset in 0..3 {
            let padded = [&[0; 2][..offset], secret].concat();
            // The first characters encode bits of the preceding text, the last one bits of the
            // following text.
            let from = [0, 2, 3][offset];
            let cut = usize::from(padded.len() % 3 != 0);
            for encoding in [data_encoding::BASE64_NOPAD, data_encoding::BASE64URL_NOPAD] {
                let text = encoding.encode(&padded);
                let inner = text.get(from..text.len().saturating_sub(cut)).unwrap_or_default();
                if inner.len() >= MIN_BASE64_BYTES {
                    self.add_form(inner);
                }
            }
        }
    }

    fn add_form(&mut self, form: &str) {
        let form = form.to_ascii_lowercase();
        if form.len() >= MIN_BYTES && !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    fn sort(&mut self) {
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.forms.is_empty() {
            return Cow::Borrowed(text);
        }
        let plain = View::plain(text);
        let decoded = text.contains('%').then(|| View::percent_decoded(text));
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for form in &self.forms {
            for view in [Some(&plain), decoded.as_ref()].into_iter().flatten() {
                view.find(form.as_bytes(), &mut spans);
            }
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_unstable();
        let mut shown = String::with_capacity(text.len());
        let mut done = 0;
        for (from, to) in spans {
            if from >= done {
                shown.push_str(text.get(done..from).unwrap_or_default());
                shown.push_str(REDACTED);
            }
            done = done.max(to);
        }
        shown.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(shown)
    }
}

/// A searchable view of a text: in lower case, and optionally percent-decoded, because a peer may
/// encode any character.
struct View {
    bytes: Vec<u8>,
    /// For each byte, its offset in the text; finally the text's length.
    offsets: Vec<usize>,
}

impl View {
    fn plain(text: &str) -> Self {
        let bytes = text.to_ascii_lowercase().into_bytes();
        Self { offsets: (0..=bytes.len()).collect(), bytes }
    }

    fn percent_decoded(text: &str) -> Self {
        let (mut bytes, mut offsets, mut at) = (Vec::new(), Vec::new(), 0);
        let digit = |at: usize| text.as_bytes().get(at).and_then(|b| char::from(*b).to_digit(16));
        while let Some(&byte) = text.as_bytes().get(at) {
            offsets.push(at);
            match (byte, digit(at + 1), digit(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                    at += 3;
                }
                _ => {
                    bytes.push(byte);
                    at += 1;
                }
            }
        }
        offsets.push(at);
        bytes.make_ascii_lowercase();
        Self { bytes, offsets }
    }

    /// Finds a form, and prefixes of it before an ellipsis, where a text was truncated within a
    /// secret.
    fn find(&self, form: &[u8], spans: &mut Vec<(usize, usize)>) {
        let mut add = |from: usize, to: usize| {
            if let (Some(from), Some(to)) = (self.offsets.get(from), self.offsets.get(to)) {
                spans.push((*from, *to));
            }
        };
        // A peer may truncate what it repeats; half of a secret already identifies it.
        let enough = form.len().min(MIN_BEGINNING_BYTES.max(form.len().div_ceil(2)));
        let (beginning, rest) = form.split_at_checked(enough).unwrap_or((form, &[]));
        for at in memchr::memmem::find_iter(&self.bytes, beginning) {
            let after = self.bytes.get(at + enough..).unwrap_or_default();
            let more = after.iter().zip(rest).take_while(|(found, wanted)| found == wanted).count();
            add(at, at + enough + more);
        }
        for end in memchr::memmem::find_iter(&self.bytes, "…".as_bytes()) {
            let before = self.bytes.get(..end).unwrap_or_default();
            // The rest of a percent-encoded character.
            let rest = before.strip_suffix(b"%").or_else(|| {
                let (short, last) = before.split_at_checked(before.len().checked_sub(2)?)?;
                (last.first() == Some(&b'%')).then_some(short)
            });
            let before = rest.unwrap_or(before);
            let is_prefix =
                |length: &usize| form.get(..*length).is_some_and(|part| before.ends_with(part));
            if let Some(length) = (MIN_BYTES..form.len()).rev().find(is_prefix) {
                add(before.len() - length, end);
            }
        }
    }
}

/// Characters that JavaScript's `encodeURIComponent` and most servers encode.
const URL_COMPONENT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

fn html_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn knowing(secrets: &[&str]) -> Secrets {
        let mut known = Secrets::default();
        for secret in secrets {
            known.add(secret);
        }
        known
    }

    #[test]
    fn a_secret_is_redacted_in_each_form() {
        let known = knowing(&["hunter2/\"ü&"]);
        for form in [
            "hunter2/\"ü&",
            "HUNTER2/\"ü&",
            r#"hunter2/\"ü&"#,
            r#"hunter2\/\"ü&"#,
            "hunter2%2F%22%C3%BC%26",
            "hunter2%2f%22%c3%bc%26",
            "h%75nter%32/%22%C3%Bc&",
            "hunter2/&#34;ü&amp;",
            "aHVudGVyMi8iw7wm",
            "68756e746572322f22c3bc26",
        ] {
            assert_eq!(known.redact(&format!("a {form} b")), "a [redacted] b", "{form}");
        }
        assert!(matches!(known.redact("nothing of hunter1"), Cow::Borrowed(_)));
    }

    #[test]
    fn basic_authentication_credentials_are_redacted() {
        let mut known = Secrets::default();
        known.add("s3cret");
        known.add_base64(b"me:s3cret");
        known.sort();
        assert_eq!(known.redact("Basic bWU6czNjcmV0, no"), "Basic [redacted], no");
    }

    #[test]
    fn a_truncated_secret_is_redacted() {
        let known = knowing(&["hunter2"]);
        assert_eq!(known.redact("it begins hunt… and more"), "it begins [redacted]… and more");
        assert_eq!(known.redact("it begins hun…"), "it begins hun…");
        assert_eq!(known.redact("hunt is on"), "hunt is on");
        assert_eq!(known.redact("a %68%75nte%7…"), "a [redacted]…");
        assert_eq!(known.redact("a hunte%…"), "a [redacted]…");
    }

    #[test]
    fn half_a_secret_is_redacted_anywhere() {
        let known = knowing(&["correct-horse"]);
        assert_eq!(known.redact("a correct-ho, b"), "a [redacted], b");
        assert_eq!(known.redact("a correct-horses b"), "a [redacted]s b");
        assert_eq!(known.redact("a correct- b"), "a [redacted] b");
        assert_eq!(known.redact("a correct b"), "a correct b");
    }

    #[test]
    fn short_secrets_leave_the_log_readable() {
        assert_eq!(knowing(&["a", "is", ""]).redact("this is a line"), "this is a line");
    }

    proptest! {
        #[test]
        fn a_secret_is_redacted_within_any_base64(
            before in prop::collection::vec(any::<u8>(), 0..9),
            secret in "[!-~]{8,30}",
            after in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let known = knowing(&[&secret]);
            let text = [&before[..], secret.as_bytes(), &after[..]].concat();
            for encoding in [data_encoding::BASE64, data_encoding::BASE64URL] {
                let encoded = encoding.encode(&text);
                let shown = known.redact(&encoded).into_owned();
                prop_assert!(shown.contains(REDACTED), "{}", encoded);
                // At most the two characters that the secret shares with its neighbours remain.
                let left = shown.replace(REDACTED, "").len();
                prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 10);
            }
        }

        #[test]
        fn other_text_is_unchanged(text in any::<String>(), secret in "\\PC{4,9}") {
            let known = knowing(&[&secret]);
            let shown = known.redact(&format!("{text}{secret}{text}")).into_owned();
            prop_assert!(!shown.contains(&secret) || REDACTED.contains(&secret) || text.contains("[redacted]"));
            if !known.redact(&text).contains(REDACTED) {
                prop_assert_eq!(&*known.redact(&text), &text);
            }
        }
    }
}

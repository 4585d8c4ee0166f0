//! Secrets that must not reach a log: passwords, keys and tokens of this run, in each form in
//! which a peer may repeat them.
//!
//! Whatever holds a secret registers it here when it is made, and everything that writes to
//! stderr passes its text through [`redact`]: so no call site can forget either. The registry
//! is the process's, as the log is. It is read for log lines only, never per event.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What is shown instead of a secret.
pub const REDACTED: &str = "[redacted]";

/// Shortest form that is looked for, in bytes. To redact a shorter one would leave no log to
/// read: a password `a` is in every line.
const MIN_BYTES: usize = 4;

/// Shortest beginning of a longer form that is looked for anywhere, in bytes.
const MIN_BEGINNING_BYTES: usize = 8;

/// Shortest piece of base64 that is looked for: shorter ones occur by chance.
const MIN_BASE64_BYTES: usize = 6;

static KNOWN: RwLock<Secrets> = RwLock::new(Secrets { forms: Vec::new() });

/// Registers a secret. Registering it again has no effect.
pub fn register(secret: &str) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(secret);
}

/// Registers a password, and the pair of it and its user as `Authorization: Basic` has it.
pub fn register_login(user: &str, password: &str) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.add(password);
    if !password.is_empty() {
        known.add_base64(format!("{user}:{password}").as_bytes());
    }
    known.sort();
}

/// Returns the text with [`REDACTED`] in the place of each known secret.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).redact(text)
}

/// Secrets in all their forms, in lower case, the longest first.
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

    /// Base64 of the secret by itself, and those characters of it that are the same in the
    /// base64 of any longer text that holds the secret.
    fn add_base64(&mut self, secret: &[u8]) {
        self.add_form(&data_encoding::BASE64_NOPAD.encode(secret));
        self.add_form(&data_encoding::BASE64URL_NOPAD.encode(secret));
        for offset in 0..3 {
            let padded = [&[0; 2][..offset], secret].concat();
            // The first characters hold bits of what precedes, the last one of what follows.
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
        let mut holes: Vec<(usize, usize)> = Vec::new();
        for form in &self.forms {
            for view in [Some(&plain), decoded.as_ref()].into_iter().flatten() {
                view.find(form.as_bytes(), &mut holes);
            }
        }
        if holes.is_empty() {
            return Cow::Borrowed(text);
        }
        holes.sort_unstable();
        let mut shown = String::with_capacity(text.len());
        let mut done = 0;
        for (from, to) in holes {
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

/// A text as it is searched: in lower case, and perhaps without its percent-encoding, which may
/// encode any of its characters.
struct View {
    bytes: Vec<u8>,
    /// Where each byte comes from in the text; and the text's end.
    places: Vec<usize>,
}

impl View {
    fn plain(text: &str) -> Self {
        let bytes = text.to_ascii_lowercase().into_bytes();
        Self { places: (0..=bytes.len()).collect(), bytes }
    }

    fn percent_decoded(text: &str) -> Self {
        let (mut bytes, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        let digit = |at: usize| text.as_bytes().get(at).and_then(|b| char::from(*b).to_digit(16));
        while let Some(&byte) = text.as_bytes().get(at) {
            places.push(at);
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
        places.push(at);
        bytes.make_ascii_lowercase();
        Self { bytes, places }
    }

    /// Adds the places of a form, and of its beginnings in front of an ellipsis: where a text was
    /// shortened in the middle of a secret.
    fn find(&self, form: &[u8], holes: &mut Vec<(usize, usize)>) {
        let mut add = |from: usize, to: usize| {
            if let (Some(from), Some(to)) = (self.places.get(from), self.places.get(to)) {
                holes.push((*from, *to));
            }
        };
        // A peer may shorten what it repeats: half of a secret is enough to know it by.
        let enough = form.len().min(MIN_BEGINNING_BYTES.max(form.len().div_ceil(2)));
        let (beginning, rest) = form.split_at_checked(enough).unwrap_or((form, &[]));
        for at in memchr::memmem::find_iter(&self.bytes, beginning) {
            let after = self.bytes.get(at + enough..).unwrap_or_default();
            let more = after.iter().zip(rest).take_while(|(found, wanted)| found == wanted).count();
            add(at, at + enough + more);
        }
        for end in memchr::memmem::find_iter(&self.bytes, "…".as_bytes()) {
            let before = self.bytes.get(..end).unwrap_or_default();
            // What is left of an encoded character.
            let rest = before.strip_suffix(b"%").or_else(|| {
                let (short, last) = before.split_at_checked(before.len().checked_sub(2)?)?;
                (last.first() == Some(&b'%')).then_some(short)
            });
            let before = rest.unwrap_or(before);
            let begun =
                |length: &usize| form.get(..*length).is_some_and(|part| before.ends_with(part));
            if let Some(length) = (MIN_BYTES..form.len()).rev().find(begun) {
                add(before.len() - length, end);
            }
        }
    }
}

/// What JavaScript's `encodeURIComponent` and most servers encode.
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
    fn a_secret_is_left_out_in_each_form() {
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
    fn a_login_is_left_out_as_basic_authentication_has_it() {
        let mut known = Secrets::default();
        known.add("s3cret");
        known.add_base64(b"me:s3cret");
        known.sort();
        assert_eq!(known.redact("Basic bWU6czNjcmV0, no"), "Basic [redacted], no");
    }

    #[test]
    fn a_secret_that_was_cut_off_is_left_out() {
        let known = knowing(&["hunter2"]);
        assert_eq!(known.redact("it begins hunt… and more"), "it begins [redacted]… and more");
        assert_eq!(known.redact("it begins hun…"), "it begins hun…");
        assert_eq!(known.redact("hunt is on"), "hunt is on");
        assert_eq!(known.redact("a %68%75nte%7…"), "a [redacted]…");
        assert_eq!(known.redact("a hunte%…"), "a [redacted]…");
    }

    #[test]
    fn half_a_secret_is_left_out_wherever_it_is() {
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
        fn base64_of_any_text_around_a_secret_shows_nothing_of_it(
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
                // At most the two characters that the secret shares with its neighbours stay.
                let left = shown.replace(REDACTED, "").len();
                prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 10);
            }
        }

        #[test]
        fn any_text_comes_back_whole_but_for_secrets(text in any::<String>(), secret in "\\PC{4,9}") {
            let known = knowing(&[&secret]);
            let shown = known.redact(&format!("{text}{secret}{text}")).into_owned();
            prop_assert!(!shown.contains(&secret) || REDACTED.contains(&secret) || text.contains("[redacted]"));
            if !known.redact(&text).contains(REDACTED) {
                prop_assert_eq!(&*known.redact(&text), &text);
            }
        }
    }
}

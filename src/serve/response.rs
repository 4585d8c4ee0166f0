//! HTTP responses that end a connection: status, headers and body, in the form that each server
//! uses.

use tokio_tungstenite::tungstenite::Bytes;

use super::chaos::Refusal;

/// A response that ends the connection.
#[derive(Debug)]
pub(super) struct Response {
    pub status: &'static str,
    /// Header lines, each with its line break.
    pub headers: String,
    pub body: Bytes,
    /// The `Content-Length` to send if it differs from the body's length: for a HEAD request, or
    /// when the injected fault truncates the body.
    pub length: Option<u64>,
}

/// Error codes of the XRPC endpoints (v2 §5, v2-archive §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XrpcErrorCode {
    InvalidRequest,
    CursorTooOld,
    UnknownZstdDictionary,
    DictionaryNotFound,
    SegmentNotFound,
    BlockNotFound,
    AuthenticationRequired,
    MethodNotAllowed,
    MethodNotImplemented,
    TooLarge,
    RateLimitExceeded,
    ServiceUnavailable,
}

impl XrpcErrorCode {
    fn status(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::CursorTooOld | Self::UnknownZstdDictionary => {
                "400 Bad Request"
            }
            Self::AuthenticationRequired => "401 Unauthorized",
            Self::DictionaryNotFound | Self::SegmentNotFound | Self::BlockNotFound => {
                "404 Not Found"
            }
            Self::TooLarge => "413 Content Too Large",
            Self::RateLimitExceeded => "429 Too Many Requests",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::MethodNotImplemented => "501 Not Implemented",
            Self::ServiceUnavailable => "503 Service Unavailable",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequest",
            Self::CursorTooOld => "CursorTooOld",
            Self::UnknownZstdDictionary => "UnknownZstdDictionary",
            Self::DictionaryNotFound => "DictionaryNotFound",
            Self::SegmentNotFound => "SegmentNotFound",
            Self::BlockNotFound => "BlockNotFound",
            Self::AuthenticationRequired => "AuthenticationRequired",
            Self::TooLarge => "TooLarge",
            Self::RateLimitExceeded => "RateLimitExceeded",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::MethodNotImplemented => "MethodNotImplemented",
            Self::ServiceUnavailable => "ServiceUnavailable",
        }
    }
}

impl Response {
    pub(super) fn new(
        status: &'static str,
        headers: impl Into<String>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { status, headers: headers.into(), body: body.into(), length: None }
    }

    /// Returns a response with one line of text.
    pub(super) fn text(status: &'static str, line: &str) -> Self {
        let headers =
            "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n";
        Self::new(status, headers, format!("{line}\n"))
    }

    pub(super) fn html(status: &'static str, line: &str) -> Self {
        Self::new(status, "Content-Type: text/html; charset=utf-8\r\n", format!("{line}\n"))
    }

    pub(super) fn json(status: &'static str, body: String) -> Self {
        Self::new(status, "Content-Type: application/json\r\n", body)
    }

    /// Returns an error response of an XRPC endpoint.
    pub(super) fn xrpc(error: XrpcErrorCode, message: &str) -> Self {
        let body = serde_json::json!({ "error": error.name(), "message": message });
        Self::json(error.status(), body.to_string())
    }

    pub(super) fn bad_request(line: &str) -> Self {
        Self::text("400 Bad Request", line)
    }

    pub(super) fn not_found() -> Self {
        Self::text("404 Not Found", "404 page not found")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            "405 Method Not Allowed",
            "Allow: GET\r\nContent-Type: text/plain; charset=utf-8\r\n",
            "Method Not Allowed\n",
        )
    }

    /// As [`Self::method_not_allowed`], for an XRPC endpoint.
    pub(super) fn xrpc_method_not_allowed(allowed: &str) -> Self {
        let response = Self::xrpc(XrpcErrorCode::MethodNotAllowed, "method not allowed");
        response.with_headers(&format!("Allow: {allowed}\r\n"))
    }

    /// Returns the response to a body of unknown length, which the server does not read.
    pub(super) fn length_required() -> Self {
        Self::text("411 Length Required", "send a Content-Length")
    }

    /// Returns an injected refusal in the wording of v1 servers and proxies.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let response = match refusal.too_many {
            true => Self::text("429 Too Many Requests", "too many requests"),
            false => Self::text("503 Service Unavailable", "service not ready: chaos"),
        };
        response.retry_after(refusal)
    }

    /// Returns an injected refusal of a v2 server, or (429) of the proxy in front of it.
    pub(super) fn refused_xrpc(refusal: Refusal) -> Self {
        match refusal.too_many {
            true => Self::refused(refusal),
            false => Self::xrpc(XrpcErrorCode::ServiceUnavailable, "service not ready: chaos")
                .retry_after(refusal),
        }
    }

    fn retry_after(self, refusal: Refusal) -> Self {
        self.with_headers(&format!("Retry-After: {}\r\n", refusal.retry_after_s))
    }

    /// Appends header lines.
    pub(super) fn with_headers(mut self, headers: &str) -> Self {
        self.headers.push_str(headers);
        self
    }

    pub(super) fn too_many_connections() -> Self {
        Self::text("503 Service Unavailable", "service not ready: too many connections")
    }

    pub(super) fn head_too_long() -> Self {
        Self::text("431 Request Header Fields Too Large", "request header fields too large")
    }

    pub(super) fn malformed() -> Self {
        Self::bad_request("400 Bad Request")
    }

    /// Returns the status line and the headers as sent.
    pub(super) fn head(&self) -> String {
        let length = self.length.unwrap_or(self.body.len() as u64);
        // The response's own `Connection` header takes precedence.
        let close =
            if self.headers.starts_with("Connection:") { "" } else { "Connection: close\r\n" };
        format!(
            "HTTP/1.1 {}\r\n{}{close}Content-Length: {length}\r\n\r\n",
            self.status, self.headers
        )
    }
}

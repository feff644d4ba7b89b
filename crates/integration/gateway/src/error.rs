//! What the gateway refuses, and how it says so.
//!
//! Owns: the errors with code, status and remedy, and their RFC 9457 form. Does not own: the
//! client's errors, which keep their own codes.
//! No text here holds anything of a body: an event is named by its index, an attribute by the name
//! that CloudEvents gives it.

use crate::cloudevent::Invalid;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use std::net::SocketAddr;
use systole_client::Kind;
use systole_kit::{Code, Remedy};

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a topic name is 1 to 249 letters, digits, dots, hyphens and underscores")]
    TopicName,
    #[error("topics whose name begins with an underscore belong to the platform")]
    PlatformTopic,
    #[error("there is no such topic")]
    UnknownTopic,
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the batch holds more than {limit} events")]
    TooManyEvents { limit: usize },
    #[error("the body did not arrive within {seconds} s")]
    BodyTimeout { seconds: u64 },
    #[error("the body ended before its announced length")]
    BodyCut,
    #[error("{} of the events sent cannot be accepted; none was written", .0.len())]
    InvalidEvents(Vec<Invalid>),
    #[error("the body is not the JSON that its content type says: {0}")]
    NotJson(&'static str),
    #[error(
        "send application/cloudevents+json, application/cloudevents-batch+json, or any type with \
         ce-* headers"
    )]
    NoEvent,
    #[error("the cursor {0}")]
    Cursor(&'static str),
    #[error("{0}")]
    Query(&'static str),
    #[error("{limit} followers are being served, which is the limit")]
    TooManyStreams { limit: usize },
    #[error("the gateway is stopping")]
    Stopping,
    #[error("this door answers to localhost, 127.0.0.1 and [::1] only")]
    ForeignHost,
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("this path does not take this method")]
    Method,
    #[error("the records were not acknowledged within {seconds} s; they may still be written")]
    PublishTimeout { seconds: u64 },
    #[error("{0}")]
    Client(#[from] systole_client::Error),
}

impl Error {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::TopicName => Code::new(6001),
            Self::UnknownTopic => Code::new(6002),
            Self::PlatformTopic => Code::new(6003),
            Self::BodyTooLarge { .. } => Code::new(6004),
            Self::TooManyEvents { .. } => Code::new(6005),
            Self::BodyTimeout { .. } | Self::BodyCut => Code::new(6006),
            Self::InvalidEvents(_) => Code::new(6007),
            Self::NotJson(_) => Code::new(6008),
            Self::NoEvent => Code::new(6009),
            Self::Cursor(_) => Code::new(6010),
            Self::Query(_) => Code::new(6011),
            Self::TooManyStreams { .. } => Code::new(6012),
            Self::Stopping => Code::new(6013),
            Self::ForeignHost => Code::new(6014),
            Self::NoRoute | Self::Method => Code::new(6015),
            Self::PublishTimeout { .. } => Code::new(6016),
            Self::Client(error) => error.code(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TopicName
            | Self::BodyCut
            | Self::InvalidEvents(_)
            | Self::NotJson(_)
            | Self::Cursor(_)
            | Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::PlatformTopic => StatusCode::FORBIDDEN,
            Self::UnknownTopic | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::BodyTooLarge { .. } | Self::TooManyEvents { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::NoEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyStreams { .. } | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::PublishTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Client(error) => client_status(error.kind()),
        }
    }

    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::BodyTimeout { .. }
            | Self::BodyCut
            | Self::TooManyStreams { .. }
            | Self::Stopping
            | Self::PublishTimeout { .. } => Remedy::Retry,
            Self::Client(error) => error.remedy(),
            _ => Remedy::FixRequest,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::TopicName => "Not a topic name",
            Self::UnknownTopic => "Unknown topic",
            Self::PlatformTopic => "Platform topic",
            Self::BodyTooLarge { .. } => "Body too large",
            Self::TooManyEvents { .. } => "Too many events",
            Self::BodyTimeout { .. } | Self::BodyCut => "Body incomplete",
            Self::InvalidEvents(_) => "Not CloudEvents 1.0",
            Self::NotJson(_) => "Not JSON",
            Self::NoEvent => "No CloudEvent",
            Self::Cursor(_) => "Bad cursor",
            Self::Query(_) => "Bad query",
            Self::TooManyStreams { .. } => "Too many followers",
            Self::Stopping => "Stopping",
            Self::ForeignHost => "Foreign host",
            Self::NoRoute => "No such path",
            Self::Method => "No such method here",
            Self::PublishTimeout { .. } => "Not acknowledged in time",
            Self::Client(_) => "The broker refused or could not be reached",
        }
    }
}

/// The client's topic error is ours, so that callers meet one code for it.
pub(crate) fn from_client(error: systole_client::Error) -> Error {
    match error.kind() {
        Kind::UnknownTopic => Error::UnknownTopic,
        _ => Error::Client(error),
    }
}

pub(crate) fn client_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Unreachable | Kind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        Kind::UnknownTopic => StatusCode::NOT_FOUND,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Storage => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// RFC 9457.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemDocument {
    #[serde(rename = "type")]
    type_: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: String,
    remedy: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Invalid>,
}

impl From<Error> for ProblemDocument {
    fn from(error: Error) -> Self {
        let code = error.code().to_string();
        Self {
            type_: format!("urn:systole:error:{code}"),
            title: error.title(),
            status: error.status().as_u16(),
            detail: error.to_string(),
            code,
            remedy: remedy_name(error.remedy()),
            events: if let Error::InvalidEvents(events) = error { events } else { Vec::new() },
        }
    }
}

pub(crate) const fn remedy_name(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::Retry => "retry",
        Remedy::FixRequest => "fix-request",
        Remedy::FixConfig => "fix-config",
        Remedy::Resolve => "resolve",
        Remedy::Operator => "operator",
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let wait = matches!(self.remedy(), Remedy::Retry).then_some((header::RETRY_AFTER, "2"));
        let body = json(&ProblemDocument::from(self));
        let content = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, content, wait.map(|it| [it]), body).into_response()
    }
}

/// JSON of our own structures, which cannot fail: no map with other keys than strings.
pub(crate) fn json(it: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(it).unwrap_or_default()
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Door(#[from] systole_guard::door::Refusal),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Client(#[from] systole_client::Error),
}

impl StartError {
    pub fn code(&self) -> Code {
        match self {
            Self::Door(refusal) => refusal.code(),
            Self::Listen { .. } => Code::new(6017),
            Self::Client(error) => error.code(),
        }
    }
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Door(refusal) => refusal.remedy(),
            Self::Listen { .. } => Remedy::FixConfig,
            Self::Client(error) => error.remedy(),
        }
    }
}

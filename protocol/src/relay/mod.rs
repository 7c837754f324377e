//! The relay service: it passes messages between hosts (`WIRE.md` section 3).
//!
//! ```
//! use hii_protocol::relay::{Answer, Content, Forward, Message, Payload, Request};
//!
//! let payload = Payload::Content(Content::new("good morning")?);
//! let message = Message::new("192.0.2.7/9000".parse()?, payload)?;
//! assert_eq!(Request::Send(message).to_string(), "to:192.0.2.7/9000;content:good morning");
//!
//! // What the other side gets.
//! let forward = Forward::new("[2001:db8::1]/9000".parse()?, message.payload())?;
//! let datagram = Answer::Forward(forward).to_vec();
//! assert_eq!(datagram, b"[2001:db8::1]/9000 ; content : good morning");
//! assert_eq!(Answer::decode(&datagram)?, Answer::Forward(forward));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod fault;
mod payload;
mod prefix;
mod request;
mod token;

pub use answer::{Answer, Forward};
#[cfg(feature = "alloc")]
pub use answer::{AnswerBuf, ForwardBuf};
pub use payload::{Content, ContentError, FrameTooLong, Payload, Raw, RawTooLong};
#[cfg(feature = "alloc")]
pub use payload::{ContentBuf, PayloadBuf, RawBuf};
pub use prefix::Prefix;
pub use request::{Message, Request};
#[cfg(feature = "alloc")]
pub use request::{MessageBuf, RequestBuf};
pub use token::Token;

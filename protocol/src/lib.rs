//! The Hii wire: every frame of the `ping`, `relay` and `share` services, parsed and written without I/O.
//!
//! Octets become typed frames with `decode`, and typed frames become octets with `encode_into`; `Display` is the wire
//! text. Requests and answers borrow from the octets and are `Copy`; `into_owned` (feature `alloc`) frees them from the
//! buffer. What cannot be encoded cannot be built. Nothing here panics, allocates behind your back, opens a socket or
//! reads a clock.
//!
//! ```
//! use hii_protocol::relay::{Payload, Request};
//!
//! let request = Request::decode(b"TO : 192.0.2.7 / 9000 ; content : good morning")?;
//! let Request::Send(message) = request else { unreachable!() };
//! assert_eq!(message.to().to_string(), "192.0.2.7/9000");
//! assert!(matches!(message.payload(), Payload::Content(text) if text.as_str() == "good morning"));
//! assert_eq!(request.to_string(), "to:192.0.2.7/9000;content:good morning");
//!
//! let error = Request::decode(b"to: 192.0.2.7/90x0; content: hello").unwrap_err();
//! assert_eq!((error.code().number(), error.offset(), error.rule().name()), (403, 16, "port"));
//! # Ok::<(), hii_protocol::ParseError>(())
//! ```
//!
//! The normative text is [`WIRE.md`](https://docs.rs/crate/hii-protocol/latest/source/WIRE.md) beside this crate; the
//! names of [`Rule`]s are those of its grammar.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `alloc` (default) | `into_owned`, `RequestBuf`, `AnswerBuf`, `to_vec` |
//! | `std` | nothing but `std` itself; for the features below |
//! | `codec` | tokio-util codecs for datagrams and streams |
//! | `serde` | frames as their wire text (reading needs a self-describing format, such as JSON) |
//! | `arbitrary` | valid frames for fuzzing |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod calm;
#[cfg(feature = "codec")]
pub mod codec;
mod digits;
mod encode;
mod endpoint;
mod error;
mod escaped;
mod grammar;
mod limits;
pub mod ping;
pub mod relay;
pub mod share;
pub mod stream;

pub use calm::is_answer;
pub use encode::{BufferTooSmall, Frame};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Code, ParseError, Rule};
pub use escaped::Escaped;
pub use limits::{Limits, MAX_DATAGRAM};

/// The README's examples run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

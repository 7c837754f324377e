//! The ping service: a server that answers every message (`WIRE.md` section 2).
//!
//! ```
//! use hii_protocol::ping::{Answer, Probe, ProbeSize, Report, Request, Run, Seq};
//!
//! let probe = Probe::new(Run(0x00c0_ffee), Seq::new(7).unwrap(), ProbeSize::new(128)?)?;
//! let mut buffer = [0; 128];
//! let len = Request::Probe(probe).encode_into(&mut buffer)?;
//! assert_eq!(len, 128);
//! assert!(buffer.starts_with(b"P 00c0ffee 7   "));
//! assert_eq!(Request::decode(&buffer)?, Request::Probe(probe));
//!
//! let report = Report { count: Seq::MIN, window: 1, held: 1200, received: 1_789_000_000_000_000_000, limited: 0 };
//! let answer = Answer::Probe(probe.answer(&report));
//! assert_eq!(answer.encoded_len(), 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod limited_notice;
mod message;
mod probe;
mod probe_answer;
mod request;

pub use answer::Answer;
pub use limited_notice::LimitedNotice;
#[cfg(feature = "alloc")]
pub use message::MessageBuf;
pub use message::{Message, MessageError};
pub use probe::{Probe, ProbeSize, ProbeSizeError, Run, Seq};
pub use probe_answer::{ProbeAnswer, Report};
pub use request::Request;
#[cfg(feature = "alloc")]
pub use request::RequestBuf;

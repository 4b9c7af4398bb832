//! What a connection brings, as messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web;
use bytes::BytesMut;
use futures::Stream;

use super::codec::{Broken, Decoder, Message as Said};

/// What comes in, decoded. Nothing more is taken from the connection before it is used.
pub(super) struct Input {
    payload: web::Payload,
    decoder: Decoder,
    octets: BytesMut,
    broken: bool,
}

impl Input {
    pub(super) fn new(payload: web::Payload) -> Input {
        Input {
            payload,
            decoder: Decoder::default(),
            octets: BytesMut::new(),
            broken: false,
        }
    }
}

impl Stream for Input {
    type Item = Result<Said, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let input = &mut *self;
        loop {
            if !input.broken
                && let Some(said) = input.decoder.next(&mut input.octets).transpose()
            {
                input.broken = said.is_err();
                return Poll::Ready(Some(said));
            }
            // After a broken rule nobody knows where a frame begins: the rest is thrown away.
            let brought = Pin::new(&mut input.payload).poll_next(cx);
            if brought.is_pending() && input.octets.is_empty() {
                // A socket that is silent keeps no memory for what it may say.
                input.octets = BytesMut::new();
            }
            match ready!(brought) {
                Some(Ok(_)) if input.broken => input.octets.clear(),
                Some(Ok(octets)) => input.octets.extend_from_slice(&octets),
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

//! What a connection brings, as messages.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_web::web;
use bytes::BytesMut;
use futures::Stream;

use super::codec::{Broken, Decoder, Message as Said};

/// Lets what comes in wait at the peer's, for as long as the session has enough to do.
#[derive(Clone, Default)]
pub(super) struct Tap(Rc<State>);

#[derive(Default)]
struct State {
    shut: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Tap {
    pub(super) fn shut(&self) {
        self.0.shut.set(true);
    }

    pub(super) fn open(&self) {
        if self.0.shut.replace(false)
            && let Some(waker) = self.0.waiting.take()
        {
            waker.wake();
        }
    }

    fn is_shut(&self, cx: &Context<'_>) -> bool {
        if self.0.shut.get() {
            self.0.waiting.replace(Some(cx.waker().clone()));
        }
        self.0.shut.get()
    }
}

/// What comes in, decoded. Nothing more is taken from the connection before it is used.
pub(super) struct Input {
    payload: web::Payload,
    decoder: Decoder,
    octets: BytesMut,
    broken: bool,
    tap: Tap,
}

impl Input {
    pub(super) fn new(payload: web::Payload, tap: Tap) -> Input {
        Input {
            tap,
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
        if input.tap.is_shut(cx) {
            return Poll::Pending;
        }
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

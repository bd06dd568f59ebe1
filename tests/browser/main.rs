//! The window in a real browser: Chromium, driven by playwright-core. The tests leave pictures of
//! all views in `target/tmp/browser`. The page is the same in each profile: debug tests it.

#![cfg(debug_assertions)]

mod chats;
mod files;
mod loop_view;
mod page;
#[path = "../support/mod.rs"]
mod support;
mod tab;

//! The script of the pages in popups.

use std::sync::LazyLock;

use super::csp::csp_hash;

/// The outcome of a login that succeeded. Any other is an error code.
pub(crate) const OUTCOME_OK: &str = "ok";

/// Tells the outcome to the page that opened the popup, by a channel that only pages of this origin
/// can read, and closes the window:
///
/// 1. once a page has acknowledged this outcome;
/// 2. a second after a success, unless the opener is a page of another origin, which could see from
///    it that the user has signed in.
///
/// Browsers of old apps know no channel; their page stays.
pub(super) const SCRIPT: &str = "\
if(window.BroadcastChannel){\
var outcome=document.body.dataset.outcome,channel=new BroadcastChannel(\"qq_login\"),foreignOpener=false;\
try{opener&&opener.location.href}catch(e){foreignOpener=true}\
channel.onmessage=function(e){var m=e.data;if(m&&m.source===\"qq_login\"&&m.seen===outcome)close()};\
channel.postMessage({source:\"qq_login\",outcome:outcome});\
if(outcome===\"ok\"&&!foreignOpener)setTimeout(close,1000)}";

pub(super) static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| csp_hash(SCRIPT));

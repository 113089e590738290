/// raftcore.hpp: the Raft consensus core for C++17 and later, on top of raftcore.h.
///
/// Header only, no dependency. What the calls mean stands in raftcore.h; this file adds what C++
/// can: handles that free themselves, results that cannot be ignored, ranges over a Ready, and
/// callbacks that are objects. It compiles to the C calls and works without exceptions too.
///
///     raftcore::node node = raftcore::node::create(raftcore::config(my_id)).value();
///     while (raftcore::ready ready = node.next_ready().value()) {
///         for (const raftcore::message &m : ready.messages()) send(m.to, m.encoded);
///         ...
///         node.advance(ready).value();
///     }
///
/// ERRORS. A call that can fail returns a result. Ask it (`if (!result)`, `result.error()`), or
/// take its value(), which throws raftcore::exception when the call failed, and ends the process
/// where exceptions are switched off. Nothing else here throws, except for want of memory.
///
/// LIFETIME. A ready and what is reached through it are views, valid until the advance of that
/// ready or the end of the node. Everything else that is returned owns what it holds. A handle that
/// was moved from is empty: assign to it or let it go.
#ifndef RAFTCORE_HPP
#define RAFTCORE_HPP

#include <raftcore/loop.hpp>
#include <raftcore/node.hpp>
#include <raftcore/result.hpp>
#include <raftcore/storage.hpp>
#include <raftcore/values.hpp>
#include <raftcore/views.hpp>

#endif

//! A group of three in one process: the smallest whole program on this crate.
//!
//! Run it with `cargo run -p raftcore --example cluster`, and copy what you need. Two things
//! differ in a real program. The network here is a queue; yours is sockets, and may lose, repeat
//! and reorder messages. And nothing here survives the process; `durable.rs`, next to this file,
//! shows that part.
//!
//! The lines that say ANCHOR mark what the guide in `docs` prints.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raftcore::{
    ConfState, Config, Entry, Error, MemoryStorage, Message, Node, NodeId, Peer, ReadState, Ready,
    RoleKind, wire,
};

fn main() -> Result<(), Error> {
    let mut cluster = Cluster::found(&[1, 2, 3])?;
    let first = cluster.elect()?;
    println!("{first} leads in term {}", cluster.member(first).node.hard_state().term);

    // Any member takes a write: a follower passes it on to the leader.
    let follower = cluster.others(first)[0];
    cluster.member(follower).node.propose("colour=green")?;
    cluster.run()?;
    println!("{follower} proposed colour=green");

    // Any member answers a read, and the answer is never older than the question.
    for id in [1, 2, 3].map(id) {
        println!("{id} reads colour={}", cluster.read(id, "colour")?);
    }

    // The leader dies; the others notice by its silence, and nothing that was committed is lost.
    cluster.stop(first);
    let second = cluster.elect()?;
    println!("{first} is gone, {second} leads");
    cluster.member(second).node.propose("shape=round")?;
    cluster.run()?;
    assert_eq!(cluster.read(second, "colour")?, "green");
    assert_eq!(cluster.read(second, "shape")?, "round");

    // It comes back with what it had stored and learns what it missed.
    cluster.restart(first)?;
    cluster.tick()?;
    assert_eq!(cluster.read(first, "shape")?, "round");
    println!("{first} is back and reads shape=round");
    Ok(())
}

/// One member: a node, and the state that the group replicates, here a map of texts.
pub struct Member {
    /// The node that decides.
    pub node: Node<MemoryStorage>,
    /// What the entries that were applied so far amount to.
    pub store: BTreeMap<String, String>,
    /// Who belongs to the group, after those entries. A snapshot has to say.
    pub conf_state: ConfState,
    /// The index of the last entry that was applied.
    pub applied: raftcore::Index,
    /// Reads that may be answered once `applied` reaches their index.
    reads: Vec<ReadState>,
    read_count: u64,
}

impl Member {
    /// A member with what is stored. An empty storage is a member's first start.
    pub fn start(id: NodeId, storage: MemoryStorage) -> Result<Self, Error> {
        // The seed makes election timeouts differ. Take yours from the operating system; a fixed
        // one makes each run of this example the same.
        let config = Config::new(id.get(), id.get());
        let mut member = Self {
            node: Node::new(&config, storage)?,
            store: BTreeMap::new(),
            conf_state: ConfState::default(),
            applied: raftcore::Index::ZERO,
            reads: Vec::new(),
            read_count: 0,
        };
        // The node hands out the entries after the snapshot again. So the application begins
        // with what the snapshot holds.
        let snapshot = raftcore::Storage::snapshot(member.node.storage())?;
        if !snapshot.is_empty() {
            member.restore(&snapshot);
        }
        Ok(member)
    }

    // ANCHOR: turn
    /// Does what the node wants done, if it wants something. Returns the messages to send.
    pub fn turn(&mut self) -> Result<Option<Vec<Message>>, Error> {
        let Some(mut ready) = self.node.ready()? else { return Ok(None) };

        // 1. Send `messages`. They may leave before anything is on disk.
        let mut sent: Vec<Message> = ready.messages.drain(..).collect();

        // 2. Write the snapshot, the entries and the hard state to disk, and sync if the Ready
        //    says `must_sync`. Then give the same to the node's storage. Here memory must do.
        self.node.storage_mut().persist(&ready)?;

        // 3. Send `messages_after_sync`. They claim that step 2 is durable.
        sent.append(&mut ready.messages_after_sync);

        // 4. Restore the application from a snapshot, then apply what is committed.
        if let Some(snapshot) = &ready.snapshot {
            self.restore(snapshot);
        }
        self.apply(&ready)?;

        // 5. Answer the reads whose index is applied.
        self.reads.append(&mut ready.read_states);

        // 6. Say that all of it is done.
        self.node.advance(ready)?;
        Ok(Some(sent))
    }
    // ANCHOR_END: turn

    // ANCHOR: apply
    fn apply(&mut self, ready: &Ready) -> Result<(), Error> {
        for entry in &ready.committed {
            if entry.is_conf_change() {
                self.conf_state = self.node.apply_conf_change_entry(entry)?.conf_state;
            } else {
                self.apply_write(entry);
            }
            self.applied = entry.index;
        }
        Ok(())
    }
    // ANCHOR_END: apply

    /// Applies `key=value`. An entry without data is a new leader's first one and changes nothing.
    fn apply_write(&mut self, entry: &Entry) {
        let text = String::from_utf8_lossy(&entry.data);
        if let Some((key, value)) = text.split_once('=') {
            self.store.insert(key.to_owned(), value.to_owned());
        }
    }

    // ANCHOR: receive
    /// Takes what came over the network. Whatever the bytes are, they cannot harm the node.
    pub fn receive(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self.node.step_encoded(bytes) {
            // A peer's fault or the network's: a line in the log, and on.
            Err(Error::Refused(why)) => {
                eprintln!("{} refused a message: {why}", self.node.id());
                Ok(())
            }
            // Nobody's fault: a proposal was passed on to us, and we do not lead any more.
            Err(Error::Dropped(_)) => Ok(()),
            // Ours, or the storage's.
            result => result,
        }
    }
    // ANCHOR_END: receive

    // ANCHOR: read
    /// Asks for an index at which a read is linearizable. The context names the question: a node
    /// that is restarted must not use one again. This one never is.
    fn ask(&mut self) -> Result<Bytes, Error> {
        self.read_count += 1;
        let context = Bytes::from(format!("{}-{}", self.node.id(), self.read_count));
        self.node.read_index(context.clone())?;
        Ok(context)
    }

    /// Whether the question is answered and the answer's index is applied.
    fn may_read(&mut self, context: &Bytes) -> bool {
        let before = self.reads.len();
        self.reads.retain(|read| read.context != *context || read.index > self.applied);
        self.reads.len() < before
    }
    // ANCHOR_END: read

    // ANCHOR: snapshot
    /// Puts the state into a snapshot and drops the entries that it contains.
    pub fn compact(&mut self) -> Result<(), Error> {
        let lines = self.store.iter().map(|(key, value)| format!("{key}={value}\n"));
        let (data, members) = (lines.collect::<String>(), self.conf_state.clone());
        let storage = self.node.storage_mut();
        storage.create_snapshot(self.applied, Some(members), data)?;
        storage.compact(self.applied)?;
        Ok(())
    }

    /// Goes on from a snapshot, which replaces everything before it.
    fn restore(&mut self, snapshot: &raftcore::Snapshot) {
        let text = String::from_utf8_lossy(&snapshot.data);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        self.store = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.conf_state = snapshot.conf_state.clone();
        self.applied = snapshot.index();
    }
    // ANCHOR_END: snapshot
}

/// The members that are alive, what the dead ones left on their disks, and the network.
#[derive(Default)]
pub struct Cluster {
    members: BTreeMap<NodeId, Member>,
    disks: BTreeMap<NodeId, MemoryStorage>,
    network: VecDeque<(NodeId, NodeId, Bytes)>,
}

impl Cluster {
    // ANCHOR: found
    /// A new group. Each of its members is bootstrapped, with the same list.
    pub fn found(ids: &[u64]) -> Result<Self, Error> {
        let mut cluster = Self::default();
        let peers: Vec<Peer> =
            ids.iter().map(|n| Peer { id: id(*n), context: Bytes::new() }).collect();
        for peer in &peers {
            let mut member = Member::start(peer.id, MemoryStorage::new())?;
            member.node.bootstrap(&peers)?;
            cluster.members.insert(peer.id, member);
        }
        cluster.run()?;
        Ok(cluster)
    }
    // ANCHOR_END: found

    /// Starts a member that joins the group: not bootstrapped, its storage empty.
    pub fn join(&mut self, newcomer: NodeId) -> Result<(), Error> {
        self.members.insert(newcomer, Member::start(newcomer, MemoryStorage::new())?);
        Ok(())
    }

    /// A member that is alive.
    pub fn member(&mut self, id: NodeId) -> &mut Member {
        self.members.get_mut(&id).expect("the member is alive")
    }

    /// The living members but this one.
    pub fn others(&self, one: NodeId) -> Vec<NodeId> {
        self.members.keys().copied().filter(|id| *id != one).collect()
    }

    // ANCHOR: drive
    /// Lets a tick pass on every member. A real program ticks on a timer, every 100 ms or so.
    pub fn tick(&mut self) -> Result<(), Error> {
        for member in self.members.values_mut() {
            member.node.tick()?;
        }
        self.run()
    }

    /// Works until nobody has anything to do.
    pub fn run(&mut self) -> Result<(), Error> {
        loop {
            let mut idle = true;
            for (from, member) in &mut self.members {
                while let Some(messages) = member.turn()? {
                    let encoded = messages.iter().map(|m| (*from, m.to, wire::encode(m)));
                    self.network.extend(encoded);
                    idle = false;
                }
            }
            while let Some((from, to, bytes)) = self.network.pop_front() {
                self.deliver(from, to, bytes)?;
                idle = false;
            }
            if idle {
                return Ok(());
            }
        }
    }
    // ANCHOR_END: drive

    // ANCHOR: deliver
    /// Carries one message. Who sent it hears when it could not be delivered, and what became of
    /// a snapshot: until then the leader sends that member no entries.
    fn deliver(&mut self, from: NodeId, to: NodeId, bytes: Bytes) -> Result<(), Error> {
        let is_snapshot = wire::decode(bytes.clone())
            .is_ok_and(|m| matches!(m.body, raftcore::Body::Snapshot(_)));
        let delivered = match self.members.get_mut(&to) {
            Some(member) => member.receive(bytes).map(|()| true)?,
            None => false,
        };
        if let Some(sender) = self.members.get_mut(&from) {
            if !delivered {
                sender.node.report_unreachable(to)?;
            }
            if is_snapshot {
                use raftcore::SnapshotStatus::{Failed, Finished};
                sender.node.report_snapshot(to, if delivered { Finished } else { Failed })?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: deliver

    /// Lets time pass until somebody leads.
    pub fn elect(&mut self) -> Result<NodeId, Error> {
        for _ in 0..1_000 {
            let leads = |m: &&Member| m.node.soft_state().role == RoleKind::Leader;
            if let Some(leader) = self.members.values().find(leads) {
                return Ok(leader.node.id());
            }
            self.tick()?;
        }
        panic!("a living majority elects a leader within a few timeouts");
    }

    /// A linearizable read from this member. If no answer comes, the question or its answer was
    /// lost, perhaps with a leader: ask again, with another context.
    pub fn read(&mut self, member: NodeId, key: &str) -> Result<String, Error> {
        for _ in 0..1_000 {
            if let Ok(context) = self.member(member).ask() {
                self.run()?;
                if self.member(member).may_read(&context) {
                    let value = self.member(member).store.get(key);
                    return Ok(value.cloned().unwrap_or_default());
                }
            }
            self.tick()?;
        }
        panic!("a living majority answers");
    }

    /// Kills a member. Its disk stays, and what was on its way to it is lost.
    pub fn stop(&mut self, id: NodeId) {
        if let Some(member) = self.members.remove(&id) {
            self.disks.insert(id, member.node.storage().clone());
        }
    }

    /// Starts a member from its disk. A first start and a restart are the same, but for the
    /// bootstrap.
    pub fn restart(&mut self, id: NodeId) -> Result<(), Error> {
        let storage = self.disks.remove(&id).unwrap_or_default();
        self.members.insert(id, Member::start(id, storage)?);
        Ok(())
    }
}

/// The id with this number. Zero, which means "nobody", and the two highest are no ids.
pub fn id(number: u64) -> NodeId {
    NodeId::new(number).expect("a number that a member can have")
}

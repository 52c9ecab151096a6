//! Update decisions shared by server, agent and simulator: Omaha codec and the agent's state machine.

"""The processors as steps over (message, state), their log protocol, the reactors and the timer; hosted by `infra`."""

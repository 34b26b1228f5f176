/* options.h: how the agent is told to behave, and to misbehave. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>

struct agent_options {
    int port;
    bool loopback;     /* 127.0.0.1 instead of all addresses */
    bool no_reuseaddr; /* without SO_REUSEADDR */
    long bind_delay_ms;
    long ready_after_ms; /* 503 until so long after the port was bound */
    long exit_after_ms;  /* 0: never */
    int exit_code;
    long print_lines; /* 0: none; negative: without end */
    bool fork_away;   /* a child in a session of its own that lives on */
    bool ignore_term;
    int access_log; /* a line for each request: 1 as uvicorn, 2 in the combined format */
    bool hang;      /* accepts and never answers */
};

/* Reads the command line. On a wrong one says why on stderr and exits with 2; --help exits with 0. */
void agent_options_read(struct agent_options *options, int argc, char **argv);

#endif

/* options.c: see options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: sandbox-agent --port N [flags]\n"
    "  --port N           the port to listen on\n"
    "  --fixed-port N     the same, whatever --port says: for an agent that does as it likes\n"
    "  --loopback         listen on 127.0.0.1 only\n"
    "  --no-reuseaddr     bind without SO_REUSEADDR\n"
    "  --bind-delay MS    wait so long before binding\n"
    "  --ready-after MS   answer 503 until so long after binding\n"
    "  --exit-after MS    end by itself\n"
    "  --exit-code N      with this code\n"
    "  --print N          print N lines at the start; -1: without end\n"
    "  --fork-away        leave a child in a session of its own\n"
    "  --ignore-term      ignore SIGTERM\n"
    "  --access-log N     a line for each request: 1 as uvicorn's, 2 in the combined format\n"
    "  --hang-health      accept connections and never answer, until POST /unhang\n"
    "GET  /alive /health /ready /server_info /whoami /env?name=X /file?path=P\n"
    "POST /exit?code=N /health?status=N /alloc?bytes=N /hang /unhang /file?path=P&text=T\n";

enum flag {
    FLAG_PORT = 256,
    FLAG_FIXED_PORT,
    FLAG_LOOPBACK,
    FLAG_NO_REUSEADDR,
    FLAG_BIND_DELAY,
    FLAG_READY_AFTER,
    FLAG_EXIT_AFTER,
    FLAG_EXIT_CODE,
    FLAG_PRINT,
    FLAG_FORK_AWAY,
    FLAG_IGNORE_TERM,
    FLAG_ACCESS_LOG,
    FLAG_HANG,
    FLAG_PLUGINS,
    FLAG_WORKING_DIR,
    FLAG_HELP
};

static const struct option flags[] = {
    {"port", required_argument, NULL, FLAG_PORT},
    {"fixed-port", required_argument, NULL, FLAG_FIXED_PORT},
    {"loopback", no_argument, NULL, FLAG_LOOPBACK},
    {"no-reuseaddr", no_argument, NULL, FLAG_NO_REUSEADDR},
    {"bind-delay", required_argument, NULL, FLAG_BIND_DELAY},
    {"ready-after", required_argument, NULL, FLAG_READY_AFTER},
    {"exit-after", required_argument, NULL, FLAG_EXIT_AFTER},
    {"exit-code", required_argument, NULL, FLAG_EXIT_CODE},
    {"print", required_argument, NULL, FLAG_PRINT},
    {"fork-away", no_argument, NULL, FLAG_FORK_AWAY},
    {"ignore-term", no_argument, NULL, FLAG_IGNORE_TERM},
    {"access-log", required_argument, NULL, FLAG_ACCESS_LOG},
    {"hang-health", no_argument, NULL, FLAG_HANG},
    {"plugins", no_argument, NULL, FLAG_PLUGINS},
    {"working-dir", required_argument, NULL, FLAG_WORKING_DIR},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static long number(const char *name, long min, long max)
{
    char *end;
    long value = strtol(optarg, &end, 10);
    if (*optarg == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "sandbox-agent: --%s must be a number from %ld to %ld, got %s\n", name, min, max,
                optarg);
        exit(2);
    }
    return value;
}

void agent_options_read(struct agent_options *options, int argc, char **argv)
{
    enum { DAY_MS = 24 * 60 * 60 * 1000 };
    *options = (struct agent_options){0};
    int fixed_port = 0, index = 0;
    bool plugins = false;
    for (int flag; (flag = getopt_long(argc, argv, "", flags, &index)) != -1;) {
        const char *name = flags[index].name;
        switch (flag) {
        case FLAG_PORT: options->port = (int)number(name, 1, 65535); break;
        case FLAG_FIXED_PORT: fixed_port = (int)number(name, 1, 65535); break;
        case FLAG_LOOPBACK: options->loopback = true; break;
        case FLAG_NO_REUSEADDR: options->no_reuseaddr = true; break;
        case FLAG_BIND_DELAY: options->bind_delay_ms = number(name, 0, DAY_MS); break;
        case FLAG_READY_AFTER: options->ready_after_ms = number(name, 0, DAY_MS); break;
        case FLAG_EXIT_AFTER: options->exit_after_ms = number(name, 1, DAY_MS); break;
        case FLAG_EXIT_CODE: options->exit_code = (int)number(name, 0, 255); break;
        case FLAG_PRINT: options->print_lines = number(name, -1, 1000000000); break;
        case FLAG_FORK_AWAY: options->fork_away = true; break;
        case FLAG_IGNORE_TERM: options->ignore_term = true; break;
        case FLAG_ACCESS_LOG: options->access_log = (int)number(name, 0, 2); break;
        case FLAG_HANG: options->hang = true; break;
        case FLAG_PLUGINS: plugins = true; break;
        case FLAG_WORKING_DIR: break;
        case FLAG_HELP: fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (fixed_port != 0)
        options->port = fixed_port;
    if (options->port == 0 || (optind != argc && !plugins)) {
        fputs(usage, stderr);
        exit(2);
    }
}

package config

import "strings"

// Usage is the text of -h.
func Usage(program string) string { return strings.ReplaceAll(usage, "PROGRAM", program) }

// UsageTLS is the text of --help_tls.
func UsageTLS(program string) string { return strings.ReplaceAll(usageTLS, "PROGRAM", program) }

const usage = `Usage: PROGRAM [options]
       PROGRAM check [options] DIR    verify a JetStream store (check -h)

Flags take one dash or two, and override the configuration file, also when it is reloaded.

Server
  -a, --addr, --net HOST         address to listen on (0.0.0.0)
  -p, --port PORT                port for clients (4222; -1: any free one)
  -n, --name, --server_name NAME name of the server (its id)
      --client_advertise ADDR    address told to clients instead of the real one
  -c, --config FILE              configuration file
  -t                             check the configuration and exit
  -sl, --signal SIG[=PID]        send a signal to a running server: stop, quit, term, reopen, reload, ldm
                                 PID may be a file that contains it
  -P, --pid FILE                 write the process id to FILE
      --ports_file_dir DIR       write the ports in use to DIR/<program>_<pid>.ports
      --reactor gnet|epoll       event loop
      --loops N                  number of event loops (0: one per core)

Monitoring
  -m, --http_port PORT           serve monitoring over HTTP
  -ms, --https_port PORT         serve monitoring over HTTPS
      --profile PORT             serve runtime profiles

Logging
  -l, --log FILE                 log to FILE instead of standard error
  -T, --logtime[=false]          write the time of each line (true)
      --logtime_utc              in UTC
      --log_format text|json     form of the lines
      --log_size_limit BYTES     start a new file beyond this size
  -s, --syslog                   log to the system log
  -r, --remote_syslog URL        log to another host: udp://host:514
  -D, --debug                    also debug messages
  -V, --trace                    also every protocol line
  -VV                            also those of the system account
  -DV, -DVV                      both
      --max_traced_msg_len N     show at most N bytes of a message

Authorization
      --user NAME, --pass WORD   ask clients for user and password
      --auth TOKEN               ask clients for a token

TLS (see --help_tls)
      --tls[=false]              use TLS; false switches off what the file says
      --tlscert FILE, --tlskey FILE, --tlscacert FILE, --tlsverify

JetStream
  -js, --jetstream               enable it
  -sd, --store_dir DIR           where streams are kept

Cluster
      --cluster, --cluster_listen URL   where to accept routes
      --cluster_name NAME
      --cluster_advertise ADDR
      --routes URL,URL           routes to make
      --connect_retries N
      --no_advertise

  -h, --help     this text
  -v, --version  the version`

const usageTLS = `TLS for client connections:

  --tlscert FILE     certificate of the server, with its chain, PEM
  --tlskey FILE      its private key, PEM
  --tls              use TLS; implied by the others
  --tlsverify        ask clients for a certificate and verify it
  --tlscacert FILE   certificates of the authorities that sign those of clients

  PROGRAM --tls --tlscert server.pem --tlskey server-key.pem
  PROGRAM --tlsverify --tlscert server.pem --tlskey server-key.pem --tlscacert ca.pem

A tls block in the configuration file has more options: versions, ciphers, curves, pinned
certificates, mapping of certificates to users, TLS before INFO.`

#!/bin/sh
# stressors.sh LINE...: runs stress-ng with each line of options, as nobody where it
# begins with "nobody", and prints what came of it.
cd /tmp
for line; do
    name=${line%% *}
    options=${line#* }
    run=stress-ng
    case $options in nobody*)
        run='start-stop-daemon -S -c nobody:nogroup -x /usr/bin/stress-ng --'
        options=${options#nobody}
    esac
    mkdir -m 777 own && cd own
    timeout -s KILL 40 $run $options >/tmp/log 2>&1 </dev/null
    status=$?
    cd /tmp
    rm -rf own
    echo "@@ $name $status"
    cat /tmp/log
    # Whoever is left over is told of, and ended.
    for process in /proc/[0-9]*; do
        case $(cat $process/comm 2>/dev/null) in stress-ng*)
            kill -9 ${process#/proc/} && echo "left over"
        esac
    done
done

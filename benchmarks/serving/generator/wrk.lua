-- Sends reviews in turn, one per request; counts responses by status; prints one line of JSON at the end.
--
--     wrk [...] --script wrk.lua http://HOST:PORT/ROUTE -- BODIES
--
-- BODIES holds one JSON body per line. Latencies are those of wrk, over all responses, in milliseconds.

local threads = {}

function setup(thread)
    -- Each thread starts at a different line of the file.
    thread:set("sent", #threads * 500)
    table.insert(threads, thread)
end

function init(arguments)
    requests = {}
    statuses = {}
    local headers = {["Content-Type"] = "application/json"}
    for body in io.lines(arguments[1]) do
        table.insert(requests, wrk.format("POST", nil, headers, body))
    end
end

function request()
    sent = sent + 1
    return requests[(sent - 1) % #requests + 1]
end

function response(status)
    statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
    local counts = {}
    for _, thread in ipairs(threads) do
        for status, count in pairs(thread:get("statuses")) do
            counts[status] = (counts[status] or 0) + count
        end
    end
    local fields = {}
    for status, count in pairs(counts) do
        table.insert(fields, string.format('"%d": %d', status, count))
    end
    local errors = summary.errors
    io.write(string.format(
        '{"seconds": %.6f, "statuses": {%s}, "socket_errors": %d, "timeouts": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f}\n',
        summary.duration / 1e6, table.concat(fields, ", "), errors.connect + errors.read + errors.write,
        errors.timeout, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end

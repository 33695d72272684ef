-- wrk's twin of get.luau: one request and one check of its answer.
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    checked, failed = 0, 0
end

function response(status)
    checked = checked + 1
    if status ~= 200 then
        failed = failed + 1
    end
end

function done()
    local all_checked, all_failed = 0, 0
    for _, thread in ipairs(threads) do
        all_checked = all_checked + thread:get("checked")
        all_failed = all_failed + thread:get("failed")
    end
    print(string.format("checked %d\ncheck failed %d", all_checked, all_failed))
end

-- The mapping of sendgrid_amp with its defaults, by lua-cjson: the handler of
-- a webhook for lua-nginx-module.

local cjson = require "cjson.safe"

local ngx = ngx
local find, lower, match = string.find, string.lower, string.match
local floor, format = math.floor, string.format
local concat, tonumber, tostring, type = table.concat, tonumber, tostring, type

local BATCH_EVENTS = 1000
local MAX_USER_ID = 1024
local MS = 1e11  -- what is not below it has 12 digits, and is milliseconds
local PASSWORD = "CJdAK9fWEn4dH2UzKht37sAM"

local OPTIONS = { min_id_length = 1 }
local USER_KEYS = { "amp_user_id", "email" }

local RESERVED = {}

for _, id in ipairs {
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
    "{}", "lmy47d", "0", "-1", "00000000-0000-0000-0000-000000000000"
} do
    RESERVED[id] = true
end


local function authorize()
    local header = ngx.var.http_authorization
    local basic = header and match(header, "^[Bb]asic +(.+)$")
    local credentials = basic and ngx.decode_base64(basic)

    if not credentials then
        return nil
    end

    local key, password = match(credentials, "^([^:]+):(.*)$")

    return password == PASSWORD and key or nil
end


local function body()
    ngx.req.read_body()

    local data = ngx.req.get_body_data()

    if data then
        return data
    end

    local name = ngx.req.get_body_file()
    local file = name and io.open(name, "rb")

    if not file then
        return nil
    end

    data = file:read("*a")
    file:close()

    return data
end


local function user_id(event)
    for i = 1, #USER_KEYS do
        local id = event[USER_KEYS[i]]

        if type(id) == "number" then
            id = format("%.14g", id)
        end

        if type(id) == "string" then

            if find(id, "^%s") or find(id, "%s$") then
                id = match(id, "^%s*(.-)%s*$")
            end

            if id ~= "" and #id <= MAX_USER_ID and not RESERVED[lower(id)] then
                return id
            end
        end
    end

    return nil
end


local function time(stamp)
    if type(stamp) == "string" and find(stamp, "^%d+%.?%d*$") then
        stamp = tonumber(stamp)
    end

    if type(stamp) ~= "number" or stamp < 0 then
        return nil
    end

    return floor(stamp >= MS and stamp or stamp * 1000)
end


local function insert_id(event)
    local id = event.sg_event_id

    if type(id) == "string" and id ~= "" then
        return id
    end

    return ngx.md5(cjson.encode(event))
end


local function map(event)
    if type(event) ~= "table" then
        return nil
    end

    local name = event.event

    if type(name) ~= "string" or name == "" then
        return nil
    end

    local user = user_id(event)

    if not user then
        return nil
    end

    return {
        user_id = user,
        event_type = "[Sendgrid] " .. name,
        time = time(event.timestamp),
        insert_id = insert_id(event),
        library = "sendgrid",
        event_properties = event
    }
end


local function answer(status, text)
    ngx.status = status
    ngx.header.content_type = "application/json"
    ngx.header.content_length = #text
    ngx.print(text)
end


local function batch(key, events)
    return { "/amplitude/us", {
        method = ngx.HTTP_POST,
        body = cjson.encode { api_key = key, events = events, options = OPTIONS }
    } }
end


local function handle()
    local key = authorize()

    if not key then
        return answer(401, '{"error":"unauthorized"}\n')
    end

    local webhook = cjson.decode(body() or "")

    if type(webhook) ~= "table" then
        return answer(400, '{"error":"invalid_json"}\n')
    end

    if webhook.event then
        webhook = { webhook }
    end

    local batches, events, n, rejected = {}, {}, 0, 0

    for i = 1, #webhook do
        local event = map(webhook[i])

        if event then
            n = n + 1
            events[n] = event

            if n == BATCH_EVENTS then
                batches[#batches + 1] = batch(key, events)
                events, n = {}, 0
            end

        else
            rejected = rejected + 1
        end
    end

    if n > 0 then
        batches[#batches + 1] = batch(key, events)
    end

    if #batches > 0 then
        local answers = { ngx.location.capture_multi(batches) }

        for i = 1, #answers do
            if answers[i].status ~= 200 then
                return answer(503, '{"error":"unavailable"}\n')
            end
        end
    end

    return answer(200, concat {
        '{"received":', tostring(#webhook),
        ',"forwarded":', tostring(#webhook - rejected),
        ',"ignored":0,"rejected":', tostring(rejected),
        ',"batches":', tostring(#batches), "}\n"
    })
end


return { handle = handle }

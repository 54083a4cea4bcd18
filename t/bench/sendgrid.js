/*
 * The mapping of sendgrid_amp with its defaults: the handler of a webhook for
 * njs.
 */

const BATCH_EVENTS = 1000;
const MAX_USER_ID = 1024;
const MS = 1e11;  // what is not below it has 12 digits, and is milliseconds
const PASSWORD = 'CJdAK9fWEn4dH2UzKht37sAM';

const USER_KEYS = ['amp_user_id', 'email'];

const RESERVED = {
    'anonymous': true, 'nil': true, 'none': true, 'null': true, 'n/a': true,
    'na': true, 'undefined': true, 'unknown': true, '{}': true,
    'lmy47d': true, '0': true, '-1': true,
    '00000000-0000-0000-0000-000000000000': true
};


function authorize(r) {
    const header = r.headersIn.Authorization;

    if (!header || !header.toLowerCase().startsWith('basic ')) {
        return null;
    }

    const credentials = Buffer.from(header.slice(6).trim(), 'base64').toString();
    const colon = credentials.indexOf(':');

    if (colon < 1 || credentials.slice(colon + 1) !== PASSWORD) {
        return null;
    }

    return credentials.slice(0, colon);
}


function userId(event) {
    for (let i = 0; i < USER_KEYS.length; i++) {
        let id = event[USER_KEYS[i]];

        if (typeof id === 'number') {
            id = String(id);
        }

        if (typeof id === 'string') {
            id = id.trim();

            if (id !== '' && id.length <= MAX_USER_ID
                && !RESERVED[id.toLowerCase()])
            {
                return id;
            }
        }
    }

    return null;
}


function time(stamp) {
    if (typeof stamp === 'string' && /^\d+\.?\d*$/.test(stamp)) {
        stamp = Number(stamp);
    }

    if (typeof stamp !== 'number' || stamp < 0) {
        return undefined;
    }

    return Math.floor(stamp >= MS ? stamp : stamp * 1000);
}


function insertId(event) {
    const id = event.sg_event_id;

    if (typeof id === 'string' && id !== '') {
        return id;
    }

    return require('crypto').createHash('sha256').update(JSON.stringify(event))
        .digest('hex');
}


function map(event) {
    if (event === null || typeof event !== 'object'
        || typeof event.event !== 'string' || event.event === '')
    {
        return null;
    }

    const user = userId(event);

    if (user === null) {
        return null;
    }

    return {
        user_id: user,
        event_type: '[Sendgrid] ' + event.event,
        time: time(event.timestamp),
        insert_id: insertId(event),
        library: 'sendgrid',
        event_properties: event
    };
}


function answer(r, status, text) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, text);
}


async function handle(r) {
    const key = authorize(r);

    if (key === null) {
        answer(r, 401, '{"error":"unauthorized"}\n');
        return;
    }

    let webhook;

    try {
        webhook = JSON.parse(r.requestText);

    } catch (e) {
        answer(r, 400, '{"error":"invalid_json"}\n');
        return;
    }

    if (!Array.isArray(webhook)) {
        webhook = [webhook];
    }

    const events = webhook.map(map).filter(event => event !== null);
    const batches = [];

    for (let i = 0; i < events.length; i += BATCH_EVENTS) {
        batches.push(r.subrequest('/amplitude/us', {
            method: 'POST',
            body: JSON.stringify({
                api_key: key,
                events: events.slice(i, i + BATCH_EVENTS),
                options: { min_id_length: 1 }
            })
        }));
    }

    const answers = await Promise.all(batches);

    if (answers.some(reply => reply.status !== 200)) {
        answer(r, 503, '{"error":"unavailable"}\n');
        return;
    }

    answer(r, 200, JSON.stringify({
        received: webhook.length,
        forwarded: events.length,
        ignored: 0,
        rejected: webhook.length - events.length,
        batches: batches.length
    }) + '\n');
}


export default { handle };

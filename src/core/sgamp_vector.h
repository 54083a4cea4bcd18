
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_VECTOR_H_INCLUDED_
#define _SGAMP_VECTOR_H_INCLUDED_


#include "sgamp.h"


/*
 * Bytes that are looked at together.  This file exists for speed only: half of
 * what the module once added to yajl was spent on one byte at a time.
 *
 * A vector has 16 bytes with SSE2 or NEON, which every x86-64 and every arm64
 * processor has, and eight bytes of a word elsewhere.  SGAMP_VECTOR_PORTABLE
 * selects the word on any processor.
 *
 *     sgamp_vector_load(p)       SGAMP_VECTOR_SIZE bytes, at any address
 *     sgamp_vector_store(p, v)
 *     sgamp_vector_or(a, b)
 *     sgamp_vector_is(v, ch)     marks the bytes that are ch
 *     sgamp_vector_no_digit(v)   marks the bytes that are no digits
 *     sgamp_vector_control(v)    marks the bytes below 0x20; others that are
 *                                not ASCII are marked, or are not
 *     sgamp_vector_marks(v)      0 if no byte is marked
 *     sgamp_vector_first(marks)  the number of the first marked byte, from 0
 *
 * A byte is marked by its high bit.  A byte behind the first marked byte may be
 * marked without a reason, so only the first mark counts.
 */


#if (__SSE2__ && !SGAMP_VECTOR_PORTABLE)

#include <emmintrin.h>


#define SGAMP_VECTOR_SIZE  16

typedef __m128i  sgamp_vector_t;


#define sgamp_vector_load(p)       _mm_loadu_si128((const __m128i *) (p))
#define sgamp_vector_store(p, v)   _mm_storeu_si128((__m128i *) (p), v)
#define sgamp_vector_or(a, b)      _mm_or_si128(a, b)
#define sgamp_vector_is(v, ch)     _mm_cmpeq_epi8(v, _mm_set1_epi8(ch))
#define sgamp_vector_control(v)    _mm_cmpgt_epi8(_mm_set1_epi8(0x20), v)
#define sgamp_vector_marks(v)      ((unsigned) _mm_movemask_epi8(v))
#define sgamp_vector_first(marks)  ((unsigned) __builtin_ctz(marks))


static inline sgamp_vector_t
sgamp_vector_no_digit(sgamp_vector_t v)
{
    /* digits become the ten largest signed numbers */

    return _mm_cmpgt_epi8(_mm_set1_epi8(0x7f - 9),
                          _mm_add_epi8(v, _mm_set1_epi8(0x7f - '9')));
}


#elif (__aarch64__ && __ARM_NEON && SGAMP_LITTLE_ENDIAN                       \
       && !SGAMP_VECTOR_PORTABLE)

#include <arm_neon.h>


#define SGAMP_VECTOR_SIZE  16

typedef uint8x16_t  sgamp_vector_t;


#define sgamp_vector_load(p)      vld1q_u8(p)
#define sgamp_vector_store(p, v)  vst1q_u8(p, v)
#define sgamp_vector_or(a, b)     vorrq_u8(a, b)
#define sgamp_vector_is(v, ch)    vceqq_u8(v, vdupq_n_u8(ch))
#define sgamp_vector_control(v)   vcltq_u8(v, vdupq_n_u8(0x20))


static inline sgamp_vector_t
sgamp_vector_no_digit(sgamp_vector_t v)
{
    return vcgtq_u8(vsubq_u8(v, vdupq_n_u8('0')), vdupq_n_u8(9));
}


static inline uint64_t
sgamp_vector_marks(sgamp_vector_t v)
{
    uint16x8_t  pairs;

    /*
     * four bits for each byte, of which the highest is the mark; these are the
     * lower bits of each second byte, so the mark is put in all bits before
     */

    pairs = vreinterpretq_u16_u8(vcltzq_s8(vreinterpretq_s8_u8(v)));

    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(pairs, 4)), 0)
           & SGAMP_ONES * 0x88;
}


static inline unsigned
sgamp_vector_first(uint64_t marks)
{
    return (unsigned) __builtin_ctzll(marks) / 4;
}


#else

#define SGAMP_VECTOR_SIZE  8

typedef uint64_t  sgamp_vector_t;


#define sgamp_vector_or(a, b)      ((a) | (b))
#define sgamp_vector_is(v, ch)     sgamp_bytes(v, ch)
#define sgamp_vector_control(v)    (((v) - SGAMP_ONES * 0x20) & ~(v))
#define sgamp_vector_marks(v)      ((v) & SGAMP_HIGH)
#define sgamp_vector_first(marks)  ((unsigned) __builtin_ctzll(marks) / 8)


/* the byte with the lowest address is the least significant */

static inline sgamp_vector_t
sgamp_vector_load(const u_char *p)
{
    uint64_t  w;

    memcpy(&w, p, 8);

    return SGAMP_LITTLE_ENDIAN ? w : __builtin_bswap64(w);
}


static inline void
sgamp_vector_store(u_char *p, sgamp_vector_t v)
{
    uint64_t  w;

    w = SGAMP_LITTLE_ENDIAN ? v : __builtin_bswap64(v);

    memcpy(p, &w, 8);
}


static inline sgamp_vector_t
sgamp_vector_no_digit(sgamp_vector_t v)
{
    /* more than "9", or not ASCII, or less than "0" */

    return ((v & ~SGAMP_HIGH) + SGAMP_ONES * (0x7f - '9'))
           | v
           | ~((v | SGAMP_HIGH) - SGAMP_ONES * '0');
}


#endif


#endif /* _SGAMP_VECTOR_H_INCLUDED_ */

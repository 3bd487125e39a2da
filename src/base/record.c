/*
 * record.c
 *	  One execution as probe measured it; see record.h.
 */
#include "postgres.h"

#include "parser/scansup.h"

#include "base/record.h"

bool		hone_capture_paused = false;

const char *
hone_record_text(const HoneExecution *execution, int *length)
{
	const char *text = execution->text;
	int			len = execution->text_len;

	if (text == NULL && execution->query_desc != NULL)
	{
		const PlannedStmt *plan = execution->query_desc->plannedstmt;

		text = execution->query_desc->sourceText;
		len = -1;
		if (text != NULL && plan->stmt_location >= 0)
		{
			text += plan->stmt_location;
			if (plan->stmt_len > 0)
				len = plan->stmt_len;
		}
	}
	if (text == NULL)
	{
		*length = 0;
		return "";
	}
	if (len < 0)
		len = (int) strlen(text);
	while (len > 0 && scanner_isspace(text[0]))
	{
		text++;
		len--;
	}
	while (len > 0 && (scanner_isspace(text[len - 1]) || text[len - 1] == ';'))
		len--;
	*length = len;
	return text;
}
